"""Spends its time raising in callees and catching in callers, in one step, through several, with `finally`.

    exceptions.py SECONDS
"""
from mix import run


class Problem(Exception):
    def __init__(self, code):
        self.code = code


def fails(x):
    y = x + 1
    raise ValueError(y)


def catches():
    for i in range(500):
        try:
            fails(i)
        except ValueError:
            pass


def deep(levels):
    if not levels:
        raise KeyError
    deep(levels - 1)


def passes_through():
    for _ in range(100):
        try:
            deep(5)
        except KeyError:
            pass


def cleans_up(x):
    try:
        return fails(x)
    finally:
        x = x + 2


def finishes():
    for i in range(300):
        try:
            cleans_up(i)
        except ValueError:
            pass


def own(x):
    raise Problem(x)


def catches_own():
    total = 0
    for i in range(300):
        try:
            own(i)
        except Problem as problem:
            total += problem.code
    return total


def rarely(x):
    if x & 15:
        return x
    raise ValueError


def tries():
    for i in range(800):
        try:
            rarely(i)
        except ValueError:
            pass


run(catches, passes_through, finishes, catches_own, tries)
