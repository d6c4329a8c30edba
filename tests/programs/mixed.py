"""Some seconds of what programs do: computes, parses on a second thread, keeps some of what it parsed, waits for files.

    python mixed.py [SECONDS]     8 unless given

Needs nothing but the standard library, so that every profiler can run it. Runs on 3.8 and later.
"""

import json
import os
import sys
import tempfile
import threading
import time

kept = []


def norm(row):
    return sum(value * value for value in row) ** 0.5


def smooth(grid):
    size = len(grid)
    return [
        [(grid[i - 1][j] + grid[(i + 1) % size][j] + grid[i][j - 1] + grid[i][(j + 1) % size]) / 4 for j in range(size)]
        for i in range(size)
    ]


def solve(until):
    grid = [[float((i * j) % 7) for j in range(60)] for i in range(60)]
    while time.monotonic() < until:
        grid = smooth(grid)
        if norm(grid[0]) < 1e-9:
            break


def parse(text):
    rows = json.loads(text)
    return {row["name"]: sorted(row["values"]) for row in rows}


def parse_all(until):
    text = json.dumps([{"name": "row %d" % i, "values": list(range(200, 0, -1))} for i in range(200)])
    while time.monotonic() < until:
        kept.append(parse(text))
        time.sleep(0.2)


def save(until):
    with tempfile.TemporaryFile() as file:
        while time.monotonic() < until:
            file.write(b"\1" * (1 << 20))
            file.flush()
            os.fsync(file.fileno())


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    end = time.monotonic() + seconds
    parser = threading.Thread(target=parse_all, args=(end,), name="parser")
    parser.start()
    solve(end - seconds / 5)
    save(end)
    parser.join()


if __name__ == "__main__":
    main()
