"""Spends its time making instances and classes: `__init__`, `__new__`, metaclasses, `__init_subclass__`, `__del__`.

    creation.py SECONDS
"""
from mix import run


class Point(object):
    def __init__(self, x, y):
        self.x = x
        self.y = y


class Point3(Point):
    def __init__(self, x, y, z):
        super(Point3, self).__init__(x, y)
        self.z = z


class Interned(object):
    instances = {}

    def __new__(cls, key):
        found = cls.instances.get(key)
        if found is None:
            found = cls.instances[key] = object.__new__(cls)
        return found


class Slotted(object):
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value * 2


class Mortal(object):
    def __del__(self):
        x = 1
        x = x + 2


class Base(object):
    def __init_subclass__(cls, **_):
        cls.names = [name for name in ("a", "b", "c", "d")]


class Meta(type):
    def __new__(mcs, name, bases, namespace):
        namespace["made"] = True
        return type.__new__(mcs, name, bases, namespace)


def points():
    for i in range(1200):
        Point(i, 1)


def derived():
    for i in range(500):
        Point3(i, 1, 2)


def interned():
    for i in range(800):
        Interned(i & 7)


def slotted():
    for i in range(1000):
        Slotted(i)


def mortals():
    for _ in range(800):
        Mortal()


def classes():
    for _ in range(8):

        class Local(Base):
            x = 1
            y = x + 2
            z = [x, y, x, y]

            def method(self):
                return self.x


def metaclasses():
    for _ in range(8):
        Meta("Dynamic", (object,), {"x": 1})


run(points, derived, interned, slotted, mortals, classes, metaclasses)
