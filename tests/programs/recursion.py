"""Stands still with a thread named `deep` 10,000 calls deep, in two functions that call each other,
and with the main thread in hold(). The innermost frame of `deep` waits for a lock.

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import os
import sys
import threading

import oracle

DEPTH = 10000
# Up to 3.10 a call takes about half a kilobyte of the C stack, several in a debug build.
STACK_BYTES = 512 * 1024 * 1024


def even(depth, lock):
    if depth == 0:
        return lock.acquire()
    return odd(depth - 1, lock)


def odd(depth, lock):
    extra = depth
    return even(extra - 1, lock)


def main():
    sys.setrecursionlimit(DEPTH + 1000)
    threading.stack_size(STACK_BYTES)
    lock = threading.Lock()
    lock.acquire()
    threading.Thread(name="deep", target=even, args=(DEPTH, lock), daemon=True).start()
    oracle.hold()
    os._exit(0)


if __name__ == "__main__":
    main()
