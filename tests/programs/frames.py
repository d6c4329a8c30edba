"""Stands still below one frame of every kind, each called by the one before:

<module>, decorated (and its wrapper), function, Class.method, Class.static, Class.of_class,
property, closure in closure, lambda, list, set and dict comprehension (no frames of their own from
3.12 on), generator expression, class body, exec and eval of a string, generator, yield from,
coroutine awaiting a coroutine (driven by send), asynchronous generator, context manager, sorted(key=),
functools.reduce, map, re.sub, __getattr__, __init__, metaclass, partial, recursion, hold.

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import contextlib
import functools
import re

import oracle


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@decorate
@decorate
def decorated():
    return function(1, second=2)


def function(first, *rest, second=None, **options):
    return Class().method(
        first,
        second,
    )


class Class:
    def method(self, *args):
        return self.static()

    @staticmethod
    def static():
        return Class.of_class()

    @classmethod
    def of_class(cls):
        return cls().prop

    @property
    def prop(self):
        return outer_closure(3)


def outer_closure(cell):
    other = cell + 1

    def middle():
        def inner():
            return (cell, other, call_lambda(lambda: comprehensions()))

        return inner()

    return middle()


def call_lambda(callback):
    return callback()


def comprehensions():
    return [
        {
            number: {
                expression
                for expression in [tuple(deeper(number) for _ in range(1))]
            }
            for number in range(1)
        }
        for _ in range(1)
    ]


def deeper(number):
    class Body:
        value = [
            exec_string()
        ]

        class Nested:
            pass

    return number


def exec_string():
    names = {"go_on": generators}
    exec("def made():\n    x = 1\n    return eval('go_on()')\n\n\nmade()", names)


def generators():
    return list(delegating())


def delegating():
    yield 1
    result = yield from generator()
    yield result


def generator():
    try:
        yield 2
        drive(coroutine())
        yield 3
    finally:
        pass
    return 4


def drive(awaitable):
    try:
        while True:
            awaitable.send(None)
    except StopIteration as stop:
        return stop.value


class Awaitable:
    def __await__(self):
        yield "suspended"
        return 5


async def coroutine():
    await Awaitable()
    return await inner_coroutine()


async def inner_coroutine():
    total = await Awaitable()
    async for value in async_generator():
        total += value
    return total


async def async_generator():
    yield 6
    async with AsyncManager():
        yield 7


class AsyncManager:
    async def __aenter__(self):
        with manager():
            return self

    async def __aexit__(self, *exception):
        return None


@contextlib.contextmanager
def manager():
    yield sorted([3, 1, 2], key=sort_key)


def sort_key(number):
    if number == 1:
        functools.reduce(reducer, [1, 2])
    return number


def reducer(left, right):
    return list(map(mapped, [left + right]))


def mapped(number):
    return re.sub("b", replace, "abc")


def replace(match):
    return str(Dynamic().missing)


class Dynamic:
    def __getattr__(self, name):
        if name != "missing":
            raise AttributeError(name)
        return Initialised(name)


class Meta(type):
    def __call__(cls, *args):
        return super().__call__(*args)


class Initialised(metaclass=Meta):
    def __init__(self, name):
        self.name = functools.partial(recursive, depth=5)(name)


def recursive(name, depth):
    if depth:
        return recursive(name, depth - 1)
    for attempt in range(3):
        try:
            if attempt == 1:
                raise KeyError(name)
        except KeyError:
            with open(__file__) as opened:
                return oracle.hold() and opened.name
    return None


if __name__ == "__main__":
    decorated()
