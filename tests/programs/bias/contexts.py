"""Spends its time entering and leaving `with` blocks: classes, contextlib's generators, nested and failing ones.

    contexts.py SECONDS
"""
import contextlib

from mix import run


class Plain(object):
    def __enter__(self):
        self.depth = 1
        return self

    def __exit__(self, *exception):
        self.depth = 0


class Swallow(object):
    def __enter__(self):
        return 1

    def __exit__(self, kind, value, traceback):
        caught = kind is ValueError
        return caught


@contextlib.contextmanager
def marked(x):
    x = x + 1
    yield x
    x = x - 1


PLAIN, SWALLOW = Plain(), Swallow()


def body(x):
    x = x ^ 5
    return x


def plain():
    for i in range(800):
        with PLAIN:
            body(i)


def nested():
    for i in range(400):
        with PLAIN, SWALLOW:
            body(i)


def generator():
    for i in range(150):
        with marked(i) as x:
            body(x)


def failing():
    for _ in range(300):
        with SWALLOW:
            raise ValueError


run(plain, nested, generator, failing)
