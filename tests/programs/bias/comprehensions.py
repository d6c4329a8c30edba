"""Spends its time in short comprehensions, nested ones, and the functions that these call.

    comprehensions.py SECONDS
"""
from mix import run

ITEMS = (1, 2, 3, 4, 5)


def twice(x):
    y = x + x
    return y


def is_odd(x):
    return x & 1


def lists():
    for _ in range(300):
        [x * 2 for x in ITEMS]


def sets():
    for _ in range(250):
        {x & 3 for x in ITEMS}


def dicts():
    for _ in range(250):
        {x: x for x in ITEMS}


def calls():
    for _ in range(200):
        [twice(x) for x in ITEMS]


def conditions():
    for _ in range(200):
        [x for x in ITEMS if is_odd(x)]


def nested():
    for _ in range(60):
        [[x * y for x in ITEMS] for y in ITEMS]


def lambdas():
    for _ in range(100):
        [f(3) for f in [lambda x: x + i for i in ITEMS]]


run(lists, sets, dicts, calls, conditions, nested, lambdas)
