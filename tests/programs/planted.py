"""A program whose true shares of time are known, because it measures them itself.

Four leaf functions, burn_10 to burn_40, burn about 10, 20, 30 and 40 % of the time in short slices
of random length and order, all under the one chain  main > rounds > burn_slice > burn_N.  With
--calls there are two sides of about one half each, to show a sampler that likes one better:

    burn_calls   a tower of tiny functions, call_1 > call_2 > ... > call_20, climbed over and over
    burn_flat    one quiet loop

Each function measures its own slices by the thread's CPU clock and by the wall clock. Two readings
cost about a microsecond against slices of about 10 milliseconds. The planted shares are only aimed at; the
measured ones are the truth, printed at the end as one line of JSON:

    {"mode": "plain", "functions": {"burn_10": {"cpu": 1.01, "wall": 1.02, "slices": 410}, ...},
     "total": {"cpu": 9.98, "wall": 10.0}}

Times are seconds. burn_10 to burn_40 and burn_flat call no Python function, so what is measured is
their self time; for burn_calls it is the total, its callees included. "total" is the whole burning
part, what lies between the slices included.

It prints READY before it burns; with --wait it then waits for a line on standard input.
"""

import argparse
import json
import random
import sys
import time

try:
    from time import thread_time
except ImportError:  # Python 3.6

    def thread_time():
        return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


wall_time = time.perf_counter

MEAN_SLICE_SECONDS = 0.010

# Of each function's first slice, before its speed is known.
FIRST_STEPS = 500


class Meter:
    """What one function has measured of itself, and how fast it works."""

    def __init__(self):
        self.cpu = 0.0
        self.wall = 0.0
        self.slices = 0
        self.steps = 0

    def steps_for(self, seconds):
        """How many steps to take for so many seconds, by the speed until now."""
        if self.steps == 0:
            return FIRST_STEPS
        return max(1, int(seconds * self.steps / self.cpu))

    def as_json(self):
        return {"cpu": self.cpu, "wall": self.wall, "slices": self.slices}


# The burning functions are alike, but each has lines of its own. All their time passes in their own
# frame: the clocks are C functions, and the adding up is done in place.


def burn_10(steps, meter):
    cpu, wall = thread_time(), wall_time()
    x = 1
    for _ in range(steps):
        x = (x * 5 + 1) & 0xFFFF
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


def burn_20(steps, meter):
    cpu, wall = thread_time(), wall_time()
    x = 1
    for _ in range(steps):
        x = (x * 9 + 3) & 0xFFFF
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


def burn_30(steps, meter):
    cpu, wall = thread_time(), wall_time()
    x = 1
    for _ in range(steps):
        x = (x * 13 + 5) & 0xFFFF
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


def burn_40(steps, meter):
    cpu, wall = thread_time(), wall_time()
    x = 1
    for _ in range(steps):
        x = (x * 17 + 7) & 0xFFFF
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


def burn_flat(steps, meter):
    cpu, wall = thread_time(), wall_time()
    x = 1
    for _ in range(steps):
        x = (x * 21 + 9) & 0xFFFF
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


def burn_calls(steps, meter):
    cpu, wall = thread_time(), wall_time()
    for _ in range(steps):
        call_1()
    meter.steps += steps
    meter.slices += 1
    meter.wall += wall_time() - wall
    meter.cpu += thread_time() - cpu


# fmt: off
def call_1(): return call_2()
def call_2(): return call_3()
def call_3(): return call_4()
def call_4(): return call_5()
def call_5(): return call_6()
def call_6(): return call_7()
def call_7(): return call_8()
def call_8(): return call_9()
def call_9(): return call_10()
def call_10(): return call_11()
def call_11(): return call_12()
def call_12(): return call_13()
def call_13(): return call_14()
def call_14(): return call_15()
def call_15(): return call_16()
def call_16(): return call_17()
def call_17(): return call_18()
def call_18(): return call_19()
def call_19(): return call_20()
def call_20(): return 1
# fmt: on

PLAIN = {burn_10: 0.10, burn_20: 0.20, burn_30: 0.30, burn_40: 0.40}
CALLS = {burn_calls: 0.50, burn_flat: 0.50}


def burn_slice(function, seconds, meter):
    """One slice of one function."""
    function(meter.steps_for(seconds), meter)


def rounds(shares, meters, seconds, rng):
    """Rounds of one slice per function, in random order, the length its share times chance.

    What a function has fallen behind or run ahead of its share is made up in its next slice.
    """
    functions = list(shares)
    end = wall_time() + seconds
    planned = 0.0
    while wall_time() < end:
        rng.shuffle(functions)
        planned += len(functions) * MEAN_SLICE_SECONDS
        for function in functions:
            owed = shares[function] * planned - meters[function].cpu
            burn_slice(function, max(owed, 0.0) * rng.uniform(0.5, 1.5), meters[function])


def main():
    parser = argparse.ArgumentParser(description="Burn known shares of CPU time.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to burn (default 10)")
    parser.add_argument("--calls", action="store_true", help="heavy calling against a quiet loop")
    parser.add_argument("--seed", type=int, default=1, help="of the slices (default 1)")
    parser.add_argument("--wait", action="store_true", help="wait for a line on stdin before burning")
    arguments = parser.parse_args()

    shares = CALLS if arguments.calls else PLAIN
    meters = {function: Meter() for function in shares}
    print("READY", flush=True)
    if arguments.wait:
        sys.stdin.readline()

    cpu, wall = thread_time(), wall_time()
    rounds(shares, meters, arguments.seconds, random.Random(arguments.seed))
    total = {"cpu": thread_time() - cpu, "wall": wall_time() - wall}
    functions = {function.__name__: meter.as_json() for function, meter in meters.items()}
    mode = "calls" if arguments.calls else "plain"
    print(json.dumps({"mode": mode, "functions": functions, "total": total}), flush=True)


if __name__ == "__main__":
    main()
