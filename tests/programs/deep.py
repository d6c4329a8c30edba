"""A thread named `deep` goes 50,000 calls deep, in two functions that call each other, and from there some hundred
calls up and down again for ever, in two others. The main thread waits for a line on standard input.

Runs on 3.6-3.15. Prints READY from the depth.
"""

import os
import sys
import threading

DEPTH = 50000
WAVE = 300
# Up to 3.10 a call takes about half a kilobyte of the C stack, several in a debug build.
STACK_BYTES = 1024 * 1024 * 1024


def even(depth):
    if depth == 0:
        return wave()
    return odd(depth - 1)


def odd(depth):
    return even(depth - 1)


def wave():
    print("READY", flush=True)
    while True:
        left(WAVE)


def left(depth):
    if depth > 0:
        right(depth - 1)


def right(depth):
    left(depth - 1)


def main():
    sys.setrecursionlimit(10 * DEPTH)
    threading.stack_size(STACK_BYTES)
    threading.Thread(name="deep", target=even, args=(DEPTH,), daemon=True).start()
    sys.stdin.readline()
    os._exit(0)


if __name__ == "__main__":
    main()
