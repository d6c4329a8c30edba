"""Spends its time in functions that call themselves or each other: trees of calls, walks, mutual recursion.

    recursion.py SECONDS
"""
from mix import run


def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def grow(depth):
    return (grow(depth - 1), depth, grow(depth - 1)) if depth else None


TREE = grow(8)


def walk(tree):
    if tree is None:
        return
    left, value, right = tree
    for inner in walk(left):
        yield inner
    yield value
    for inner in walk(right):
        yield inner


def depth(tree):
    if tree is None:
        return 0
    return 1 + max(depth(tree[0]), depth(tree[2]))


def tree_of_calls():
    return fibonacci(13)


def mutual():
    for _ in range(12):
        is_even(40)


def walks():
    total = 0
    for value in walk(TREE):
        total += value
    return total


def measures():
    return depth(TREE)


run(tree_of_calls, mutual, walks, measures)
