"""A thread named `spin` runs pure Python and never waits; the main thread waits for a line on standard
input, without the GIL.

Runs on 3.6-3.15. Prints READY just before the main thread waits.
"""

import os
import sys
import threading


def spin(started):
    started.set()
    x = 1
    while True:
        x = (x * 5 + 1) & 0xFFFF


def main():
    started = threading.Event()
    threading.Thread(name="spin", target=spin, args=(started,), daemon=True).start()
    started.wait()
    print("READY", flush=True)
    sys.stdin.readline()
    os._exit(0)


if __name__ == "__main__":
    main()
