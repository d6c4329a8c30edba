"""Spends its time where reading or writing an attribute runs Python: properties, descriptors, `__getattr__`.

    attributes.py SECONDS
"""
from mix import run


class Clamped(object):
    """A descriptor that keeps its value in the instance."""

    def __get__(self, instance, owner):
        value = instance.clamped
        return value & 0xFF

    def __set__(self, instance, value):
        if value > 1000:
            value = 1000
        instance.clamped = value


class Account(object):
    limit = Clamped()

    def __init__(self):
        self.cents = 12345
        self.clamped = 7

    @property
    def amount(self):
        whole = self.cents // 100
        return whole

    @amount.setter
    def amount(self, whole):
        cents = whole * 100
        self.cents = cents

    @staticmethod
    def rate(days):
        days = days + 1
        return days * 2

    @classmethod
    def named(cls, name):
        name = name or cls
        return name


class Fallback(object):
    def __getattr__(self, name):
        length = len(name)
        return length + 1


class Watched(object):
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


ACCOUNT, FALLBACK, WATCHED = Account(), Fallback(), Watched()


def read_property():
    total = 0
    for _ in range(1500):
        total += ACCOUNT.amount
    return total


def write_property():
    for i in range(1000):
        ACCOUNT.amount = i


def read_descriptor():
    total = 0
    for _ in range(1200):
        total ^= ACCOUNT.limit
    return total


def write_descriptor():
    for i in range(1000):
        ACCOUNT.limit = i


def call_static():
    for i in range(800):
        Account.rate(i)
        Account.named(i)


def fall_back():
    for _ in range(500):
        FALLBACK.missing


def watch():
    for i in range(800):
        WATCHED.value = i


run(read_property, write_property, read_descriptor, write_descriptor, call_static, fall_back, watch)
