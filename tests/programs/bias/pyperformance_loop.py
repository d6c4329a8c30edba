"""Turns a benchmark of pyperformance into a program that runs it over and over until its time is over.

    pyperformance_loop.py FOLDER/run_benchmark.py SECONDS [OPTION…]

The benchmark runs in this process, as it stands: in the place of pyperf, which would start processes of its
own, it imports the few names below. Prints READY before the benchmark's first run, and runs it at least once.
"""
import argparse
import os
import runpy
import sys
import time
import types

PATH, SECONDS = sys.argv[1], float(sys.argv[2])


class Runner(object):
    """What the benchmarks use of pyperf.Runner."""

    def __init__(self, **_):
        self.metadata = {}
        self.argparser = argparse.ArgumentParser()

    def parse_args(self):
        return self.argparser.parse_args(sys.argv[1:])

    def bench_func(self, _, function, *arguments, **__):
        repeat(function, arguments)

    def bench_time_func(self, _, function, *arguments, **__):
        repeat(function, (1,) + arguments)


def repeat(function, arguments):
    end = time.time() + SECONDS
    os.write(1, b"READY\n")
    while True:
        function(*arguments)
        if time.time() > end:
            break


def main():
    pyperf = types.ModuleType("pyperf")
    pyperf.Runner = Runner
    pyperf.perf_counter = time.perf_counter
    sys.modules["pyperf"] = pyperf
    sys.argv = [PATH] + sys.argv[3:]
    sys.path.insert(0, os.path.dirname(PATH))
    runpy.run_path(PATH, run_name="__main__")


main()
