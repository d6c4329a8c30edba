"""Turns a loop of a few statements into the true share of each line, and then into work for a profiler.

    lines.py SECONDS

Prints `TRUTH` and, as JSON, {line: [share, its standard error]} of the lines of `mixed`, then READY, and calls
`mixed` until its time is over. The truth is measured, in CPU time, in two ways: the loop with one statement
alone, less the empty loop; and the whole loop, less the loop without that statement. The processor foresees a
short loop better than a long one, so that the first is less than a statement takes among the others and the
second is more. The share is the mean of both, and its error has how far they are apart.
"""
import json
import math
import os
import random
import sys
import time

LOOPS = 600
# The least of so many measurements counts: others were disturbed.
ROUNDS = 25
GROUPS = 4


def mixed(numbers, table, text):
    for i in range(LOOPS):
        product = i * 3
        part = numbers[2:6]
        pair = (i, text)
        found = table[i & 63]
        joined = text.join(("a", "b", "c"))
        least = min(numbers)
        number = int("123")
        ratio = i / 7.0 + product


ARGUMENTS = (list(range(8)), {i: str(i) for i in range(64)}, "-")
STATEMENTS = 8


def source_lines():
    """The number of the loop's line, that line, and the statements in the loop."""
    first = mixed.__code__.co_firstlineno + 1
    with open(__file__) as source:
        lines = source.read().split("\n")[first - 1 :]
    return first, lines[0], lines[1 : STATEMENTS + 1]


def made(loop, statements):
    """The loop with these statements."""
    body = "\n".join(statements or ["        pass"])
    names = {"LOOPS": LOOPS}
    exec("def made(numbers, table, text):\n    product = 3\n%s\n%s\n" % (loop, body), names)
    return names["made"]


def seconds_of(function):
    start = time.process_time()
    function(*ARGUMENTS)
    function(*ARGUMENTS)
    return time.process_time() - start


def least_seconds(functions):
    """What each function takes, in an order that is new each time."""
    least = {function: math.inf for function in functions}
    for _ in range(ROUNDS):
        for function in random.sample(functions, len(functions)):
            least[function] = min(least[function], seconds_of(function))
    return [least[function] for function in functions]


def shares(functions):
    """The shares of the loop and of the statements, each way."""
    seconds = least_seconds(functions)
    empty, whole = seconds[:2]
    alone, without = seconds[2 : 2 + STATEMENTS], seconds[2 + STATEMENTS :]
    return [
        normal([empty] + [one - empty for one in alone]),
        normal([empty] + [whole - one for one in without]),
    ]


def normal(costs):
    costs = [max(cost, 0.0) for cost in costs]
    return [cost / sum(costs) for cost in costs]


def mean_and_error(first, second):
    """Of a share that was measured in two ways, several times each."""
    values = first + second
    mean = sum(values) / len(values)
    # As if every value between the two ways were equally likely.
    apart = abs(sum(first) - sum(second)) / len(first) / math.sqrt(12)
    return mean, math.hypot(apart, max(deviation(first), deviation(second)) / math.sqrt(len(first)))


def deviation(values):
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def truth():
    first, loop, statements = source_lines()
    functions = [made(loop, []), made(loop, statements)]
    functions += [made(loop, [one]) for one in statements]
    functions += [made(loop, [one for one in statements if one is not left]) for left in statements]
    groups = [shares(functions) for _ in range(GROUPS)]
    ways = [list(zip(*way)) for way in zip(*groups)]
    return {first + i: mean_and_error(*pair) for i, pair in enumerate(zip(*ways))}


def main():
    seconds = float(sys.argv[1])
    told = "TRUTH %s\nREADY\n" % json.dumps(truth())
    os.write(1, told.encode())
    end = time.time() + seconds
    while time.time() < end:
        mixed(*ARGUMENTS)


main()
