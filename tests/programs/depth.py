"""Works at the end of a stack of a given depth, beside threads that wait.

    depth.py 20               20 frames; the innermost runs a loop that calls nothing
    depth.py 20 --calls       it calls a function over and over that returns at once
    depth.py 20 --idle 200    beside it 200 threads wait for an event that never comes
    depth.py 20 --blocks      prints the time after each block of work, in ns of time.monotonic()

Runs on 3.6-3.15. Prints READY when all threads are where they stay, and works until it is killed: by
itself after ten minutes, lest it outlive the one who measures.
"""

import argparse
import os
import signal
import threading
import time

LIMIT_SECONDS = 600

# Some ten milliseconds.
ITERATIONS_OF_A_BLOCK = 200000

# What is below `descend`: <module> and main.
OUTER_FRAMES = 2


def loop(count):
    x = 1
    for _ in range(count):
        x = (x * 5 + 1) & 0xFFFF


def leaf():
    return 0


def call(count):
    for _ in range(count):
        leaf()


def descend(frames, work, has_blocks):
    """Calls itself until it is the last frame but that of `work`, which works there for ever."""
    if frames > 2:
        descend(frames - 1, work, has_blocks)
        return
    while True:
        work(ITERATIONS_OF_A_BLOCK)
        if has_blocks:
            os.write(1, b"%d\n" % (time.monotonic() * 1e9))


def wait(started, event):
    started.release()
    event.wait()


def start_waiting(count):
    started = threading.Semaphore(0)
    event = threading.Event()
    for _ in range(count):
        threading.Thread(target=wait, args=(started, event), daemon=True).start()
    for _ in range(count):
        started.acquire()


def main():
    parser = argparse.ArgumentParser(description="Work at the end of a deep stack.")
    parser.add_argument("depth", type=int, help="frames of the main thread, at least 4")
    parser.add_argument("--calls", action="store_true", help="call a function over and over")
    parser.add_argument("--idle", type=int, default=0, help="threads that wait")
    parser.add_argument("--blocks", action="store_true", help="print the time after each block")
    arguments = parser.parse_args()

    signal.alarm(LIMIT_SECONDS)
    start_waiting(arguments.idle)
    os.write(1, b"READY\n")
    work = call if arguments.calls else loop
    descend(arguments.depth - OUTER_FRAMES, work, arguments.blocks)


if __name__ == "__main__":
    main()
