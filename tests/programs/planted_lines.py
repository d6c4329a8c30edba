"""Burns 10, 20 and 70 % of its time in three lines, and fills and frees memory in two others.

    planted_lines.py work|memory

At the end it prints {"0.01": s, ...}: how long it was in each of the three lines, which on a busy machine is
more than it asked for. Runs on 3.6 and later.
"""

import json
import sys
import time

MEGABYTES = 200


took = {}


def burn(seconds):
    start = now = time.perf_counter()
    while now < start + seconds:
        now = time.perf_counter()
    took[seconds] = took.get(seconds, 0.0) + now - start


def work():
    for _ in range(20):
        burn(0.01)
        burn(0.02)
        burn(0.07)


def memory():
    burn(0.2)
    block = bytearray(MEGABYTES * 1_000_000)
    burn(0.2)
    del block
    burn(0.2)


if __name__ == "__main__":
    {"work": work, "memory": memory}[sys.argv[1]]()
    print(json.dumps(took))
