"""Spends its time in functions that C code calls: map, filter, reduce, partial, sort keys and comparisons.

    functional.py SECONDS
"""
import functools

from mix import run

NUMBERS = [i * 7919 % 500 for i in range(500)]


def add(x, y):
    total = x + y
    return total & 0xFFFF


def scale(factor, x):
    return factor * x


def negative(x):
    y = -x
    return y


def compare(x, y):
    if x < y:
        return -1
    return x > y


def is_even(x):
    return not x & 1


triple = functools.partial(scale, 3)


def mapped():
    return list(map(lambda x: x + 1, NUMBERS))


def mapped_twice():
    return sum(map(negative, map(lambda x: x ^ 3, NUMBERS)))


def filtered():
    return list(filter(is_even, NUMBERS))


def reduced():
    return functools.reduce(add, NUMBERS)


def partials():
    for x in NUMBERS:
        triple(x)


def by_key():
    return sorted(NUMBERS, key=negative)


def by_comparison():
    return sorted(NUMBERS[:80], key=functools.cmp_to_key(compare))


def greatest():
    return max(NUMBERS, key=lambda x: x & 31)


run(mapped, mapped_twice, filtered, reduced, partials, by_key, by_comparison, greatest)
