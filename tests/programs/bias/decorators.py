"""Spends its time in decorated functions: wrappers, stacks of them, classes as decorators, caches that miss.

    decorators.py SECONDS
"""
import functools
import itertools

from mix import run


def counted(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        wrapper.calls += 1
        return function(*arguments)

    wrapper.calls = 0
    return wrapper


def checked(least):
    def decorate(function):
        @functools.wraps(function)
        def check(x):
            if x < least:
                x = least
            return function(x)

        return check

    return decorate


class Remembered(object):
    def __init__(self, function):
        self.function = function
        self.last = None

    def __call__(self, x):
        self.last = self.function(x)
        return self.last


@counted
def once(x):
    y = x + 1
    return y * 2


@counted
@checked(3)
def both(x):
    y = x ^ 1
    return y


@Remembered
def remembered(x):
    return x & 0xFF


@functools.lru_cache(maxsize=64)
def cached(x):
    y = x * x
    y = y & 0xFFFF
    return y


@functools.singledispatch
def shown(x):
    return x


@shown.register(int)
def shown_int(x):
    return x + 1


KEYS = itertools.cycle(range(1000))


def single():
    for i in range(1000):
        once(i)


def double():
    for i in range(600):
        both(i)


def by_class():
    for i in range(800):
        remembered(i)


def misses():
    for _ in range(700):
        cached(next(KEYS))


def dispatched():
    for i in range(200):
        shown(i)


run(single, double, by_class, misses, dispatched)
