"""Spends its time in special methods written in Python: operators, comparisons, indexing, length, iteration.

    operators.py SECONDS
"""
from mix import run


class Vector(object):
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        x = self.x - other.x
        y = self.y - other.y
        return x + y

    def __mul__(self, factor):
        scaled = self.x * factor
        return scaled

    def __eq__(self, other):
        return self.x == other.x and self.y == other.y

    def __lt__(self, other):
        return self.x < other.x

    def __bool__(self):
        return self.x != 0

    def __call__(self, value):
        value = value + 1
        return value


class Row(object):
    def __init__(self, items):
        self.items = items

    def __getitem__(self, index):
        index = index & 7
        return self.items[index]

    def __setitem__(self, index, value):
        self.items[index & 7] = value

    def __len__(self):
        count = 8
        return count

    def __contains__(self, value):
        return value == 3


class Countdown(object):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return self

    def __next__(self):
        self.count -= 1
        if self.count < 0:
            raise StopIteration
        return self.count


ONE, OTHER = Vector(3, 4), Vector(1, 2)
ROW = Row(list(range(8)))
VECTORS = [Vector(i * 37 % 101, 0) for i in range(100)]


def subtract():
    for _ in range(1500):
        ONE - OTHER


def add():
    for _ in range(400):
        ONE + OTHER


def multiply():
    for _ in range(800):
        ONE * 3


def compare():
    for _ in range(800):
        ONE == OTHER


def test():
    for _ in range(600):
        if ONE:
            pass


def call():
    for i in range(800):
        ONE(i)


def index():
    for i in range(800):
        ROW[i]
        ROW[i] = 3


def measure():
    for _ in range(800):
        len(ROW)
        3 in ROW


def iterate():
    total = 0
    for value in Countdown(800):
        total += value
    return total


def order():
    return sorted(VECTORS)


run(subtract, add, multiply, compare, test, call, index, measure, iterate, order)
