"""Burns 10, 20 and 70 % of its time in three lines, and fills and frees memory in two others.

    planted_lines.py work|memory

It says nothing; a profile of it must show what is written here.
"""

import sys
import time

MEGABYTES = 200


def burn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


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
