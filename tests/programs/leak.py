"""A cache that keeps 61 MB, beside a buffer of 30 MB that is made and given back each time.

Prints READY, waits for a line, and prints {"leaks": N, "buffer": N, "kept": bytes}: the numbers of the lines, and how
much the cache holds.
"""

import json
import sys
import time

cache = []


def works():
    until = time.perf_counter() + 0.05
    while time.perf_counter() < until:
        pass


def remember():
    cache.append(b"\1" * 6100000)


def turn():
    buffer = b"\2" * (30 << 20)
    works()
    remember()
    works()
    del buffer
    works()


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        turn()
    said = {
        "leaks": remember.__code__.co_firstlineno + 1,
        "buffer": turn.__code__.co_firstlineno + 1,
        "kept": sum(map(len, cache)),
    }
    print(json.dumps(said), flush=True)


main()
