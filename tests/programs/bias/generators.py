"""Spends its time in generators: consumed by a loop, nested with `yield from`, and handed to any(), sum(), sorted().

    generators.py SECONDS
"""
from mix import run


def numbers(count):
    for i in range(count):
        value = i ^ 3
        value = value + 7
        yield value


def consume():
    total = 0
    for value in numbers(1500):
        total = total + value
        total = total & 0xFFFF
    return total


def innermost(count):
    for i in range(count):
        yield i * 2


def middle(count):
    yield from innermost(count)
    yield -1


def outermost(count):
    yield from middle(count)
    yield -2


def delegate():
    total = 0
    for value in outermost(1200):
        total ^= value
    return total


def search():
    words = (2, 4, 6, 8, 10)
    for _ in range(200):
        any(word == 7 for word in words)


def add_up():
    return sum(i & 5 for i in range(1500))


def order():
    return sorted(-i for i in range(800))


def echo():
    received = yield 0
    while True:
        received = yield received + 1


def send():
    generator = echo()
    next(generator)
    value = 0
    for _ in range(1000):
        value = generator.send(value)
    return value


run(consume, delegate, search, add_up, order, send)
