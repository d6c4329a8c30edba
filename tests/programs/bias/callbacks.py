"""Spends its time in functions that library code in C calls back: re.sub, json's hooks, `__hash__`, bisect, iter().

    callbacks.py SECONDS
"""
import bisect
import json
import re

from mix import run

TEXT = "alpha 12 beta 345 gamma 6 delta 78 " * 8
WORD = re.compile("[a-z]+")
NUMBER = re.compile("[0-9]+")
DOCUMENT = json.dumps([{"x": i, "y": 0.5} for i in range(40)])


class Opaque(object):
    pass


OPAQUE = [Opaque() for _ in range(40)]


class Key(object):
    def __init__(self, value):
        self.value = value

    def __hash__(self):
        value = self.value & 63
        return value

    def __eq__(self, other):
        return self.value == other.value

    def __lt__(self, other):
        return self.value < other.value


KEYS = [Key(i) for i in range(128)]
TABLE = {key: 1 for key in KEYS}


def upper(match):
    word = match.group()
    return word.upper()


def increase(match):
    return str(int(match.group()) + 1)


def hook(pairs):
    x = pairs.get("x")
    return x


def parse_float(text):
    return float(text) + 1


def encode(_):
    text = "opaque"
    return text


def substitutes():
    for _ in range(6):
        WORD.sub(upper, TEXT)
        NUMBER.sub(increase, TEXT)


def loads():
    for _ in range(6):
        json.loads(DOCUMENT, object_hook=hook, parse_float=parse_float)


def dumps():
    for _ in range(6):
        json.dumps(OPAQUE, default=encode)


def looks_up():
    for key in KEYS:
        TABLE[key]


def bisects():
    for key in KEYS[:40]:
        bisect.bisect(KEYS, key)


class Source(object):
    def __init__(self):
        self.left = 400

    def read(self):
        self.left -= 1
        return self.left


def reads():
    for _ in iter(Source().read, 0):
        pass


run(substitutes, loads, dumps, looks_up, bisects, reads)
