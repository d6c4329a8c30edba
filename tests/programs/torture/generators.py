"""Generators and coroutines resumed in a loop, nested with `yield from` and `await`.

Legal stacks, for each way X of resuming:

    <module> > endless > round_of_all > drive_X > outer_X > middle_X > inner_X > leaf_X

where X is `for` (a for loop), `next` (the built-in function), `send` (the method) or `await` (the
three are coroutines, resumed by send). Their frames live on the heap and stay there suspended
between two resumptions: a suspended generator has no caller, and must not be seen under another's.
`short_for` and `short_next` are generators made anew each time, so that their memory is reused:

    <module> > endless > round_of_all > drive_short_X > short_X > leaf_short_X
"""

import types

from endless import endless

CALLS = 150
STEPS = 5

LEGAL = {"roots": ["<module>"], "parents": {"round_of_all": ["endless"]}}
for kind in ("for", "next", "send", "await"):
    LEGAL["parents"]["drive_" + kind] = ["round_of_all"]
    LEGAL["parents"]["outer_" + kind] = ["drive_" + kind]
    LEGAL["parents"]["middle_" + kind] = ["outer_" + kind]
    LEGAL["parents"]["inner_" + kind] = ["middle_" + kind]
    LEGAL["parents"]["leaf_" + kind] = ["inner_" + kind]
for kind in ("short_for", "short_next"):
    LEGAL["parents"]["drive_" + kind] = ["round_of_all"]
    LEGAL["parents"][kind] = ["drive_" + kind]
    LEGAL["parents"]["leaf_" + kind] = [kind]


# fmt: off
def leaf_for(): return 1
def leaf_next(): return 2
def leaf_send(): return 3
def leaf_await(): return 4
def leaf_short_for(): return 5
def leaf_short_next(): return 6
# fmt: on


def inner_for():
    while True:
        yield leaf_for()


def middle_for():
    yield from inner_for()


def outer_for():
    yield from middle_for()


def inner_next():
    while True:
        yield leaf_next()


def middle_next():
    yield from inner_next()


def outer_next():
    yield from middle_next()


def inner_send():
    while True:
        yield leaf_send()


def middle_send():
    yield from inner_send()


def outer_send():
    yield from middle_send()


@types.coroutine
def inner_await():
    while True:
        leaf_await()
        yield


async def middle_await():
    await inner_await()


async def outer_await():
    await middle_await()


def short_for():
    for _ in range(STEPS):
        yield leaf_short_for()


def short_next():
    while True:
        yield leaf_short_next()


def drive_for(generator):
    steps = 0
    for _ in generator:
        steps += 1
        if steps == STEPS:
            break


def drive_next(generator):
    for _ in range(STEPS):
        next(generator)


def drive_send(generator):
    for _ in range(STEPS):
        generator.send(None)


def drive_await(coroutine):
    for _ in range(STEPS):
        coroutine.send(None)


def drive_short_for():
    for _ in short_for():
        pass


def drive_short_next():
    generator = short_next()
    for _ in range(STEPS):
        next(generator)
    # A generator dropped while suspended is resumed to be closed, under this function's caller, as
    # this function's own frame has ended by then. Close it here instead.
    generator.close()


# A generator is resumed for the first time by its own driver too: calling it only makes it.
GENERATORS = {"for": outer_for(), "next": outer_next(), "send": outer_send()}
COROUTINE = outer_await()


def round_of_all():
    for _ in range(CALLS):
        drive_for(GENERATORS["for"])
        drive_next(GENERATORS["next"])
        drive_send(GENERATORS["send"])
        drive_await(COROUTINE)
        drive_short_for()
        drive_short_next()


if __name__ == "__main__":
    endless(round_of_all, LEGAL)
    COROUTINE.close()  # or Python warns, after --legal, that it was never awaited
