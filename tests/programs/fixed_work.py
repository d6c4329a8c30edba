"""Does the same piece of work at each line on standard input, and prints how long it took: wall and CPU seconds of the process.

    fixed_work.py               a loop of pure Python
    fixed_work.py LIBRARY N     N threads of LIBRARY (barriers.c) that meet every 200 us

Runs on 3.6-3.15. Prints READY first.
"""

import ctypes
import sys
import time


def python():
    x = 1
    for _ in range(3000000):
        x = (x * 5 + 1) & 0xFFFF


def barriers(library, threads):
    meet = ctypes.CDLL(library).meet
    return lambda: meet(threads, 1500)


def main():
    work = python
    if len(sys.argv) > 1:
        work = barriers(sys.argv[1], int(sys.argv[2]))
    work()
    print("READY", flush=True)
    while sys.stdin.readline():
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


main()
