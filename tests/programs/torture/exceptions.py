"""Exceptions that unwind through several frames, over and over.

Legal stacks:

    <module> > endless > drive > catch_a > high_a > low_a > throw_a
    <module> > endless > drive > catch_a > high_a > tidy_a          in high_a's finally
    <module> > endless > drive > catch_a > handle_a                 in catch_a's except
    <module> > endless > drive > catch_b > high_b > low_b > reraise_b > throw_b
    <module> > endless > drive > catch_b > high_b > low_b > handle_b   in low_b's except, which raises again
    <module> > endless > drive > catch_b > last_b                   after catch_b's except

Unwinding ends frames without a return.
"""

from endless import endless

CALLS = 300

LEGAL = {
    "roots": ["<module>"],
    "parents": {
        "drive": ["endless"],
        "catch_a": ["drive"],
        "high_a": ["catch_a"],
        "low_a": ["high_a"],
        "throw_a": ["low_a"],
        "tidy_a": ["high_a"],
        "handle_a": ["catch_a"],
        "catch_b": ["drive"],
        "high_b": ["catch_b"],
        "low_b": ["high_b"],
        "reraise_b": ["low_b"],
        "throw_b": ["reraise_b"],
        "handle_b": ["low_b"],
        "last_b": ["catch_b"],
    },
}


def throw_a():
    raise ValueError


def low_a():
    return throw_a()


def tidy_a():
    return 0


def high_a():
    try:
        low_a()
    finally:
        tidy_a()


def handle_a():
    return 1


def catch_a():
    try:
        high_a()
    except ValueError:
        handle_a()


def throw_b():
    raise KeyError("b")


def reraise_b():
    try:
        throw_b()
    except LookupError:
        raise


def handle_b():
    return 2


def low_b():
    try:
        reraise_b()
    except KeyError as error:
        handle_b()
        raise TypeError from error


def high_b():
    low_b()


def last_b():
    return 3


def catch_b():
    try:
        high_b()
    except TypeError:
        pass
    last_b()


def drive():
    for _ in range(CALLS):
        catch_a()
        catch_b()


if __name__ == "__main__":
    endless(drive, LEGAL)
