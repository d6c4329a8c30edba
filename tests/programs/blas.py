"""Multiplies matrices on as many threads as OPENBLAS_NUM_THREADS says, then burns as long in Python.

    blas.py [SECONDS]    for so long each; 1 if not said

It prints READY, waits for a line, and prints {"dot": {"wall": s, "cpu": s}, "burn": {…}}: the CPU time is that of
the whole process.
"""

import json
import sys
import time

import numpy as np

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


def dot(a, b):
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        a.dot(b)


def burn():
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        sum(range(1000))


def told_of(call, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    call(*arguments)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main():
    a = np.random.rand(900, 900)
    a.dot(a)
    print("READY", flush=True)
    sys.stdin.readline()
    told = {"dot": told_of(dot, a, a), "burn": told_of(burn)}
    print(json.dumps(told), flush=True)


main()
