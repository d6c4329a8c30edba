"""Stands still in the `__init__` of classes whose calls the interpreter has specialised: from 3.12 on it
then runs a code object of its own between the caller and `__init__`, which no traceback shows.

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import oracle

# Calls are specialised after some tens of them (`Include/internal/pycore_backoff.h`).
WARM = 1000


class Inner:
    def __init__(self, is_last):
        if is_last:
            oracle.hold()


class Outer:
    def __init__(self, is_last):
        self.inner = Inner(is_last)


def main():
    for number in range(WARM):
        Outer(number == WARM - 1)


if __name__ == "__main__":
    main()
