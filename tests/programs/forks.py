"""Forks so many children of so many milliseconds, one after another; says how long that took and their PIDs."""
import json
import os
import sys
import time


def in_child(seconds):
    end = time.time() + seconds
    while time.time() < end:
        pass


def main(count, milliseconds):
    begin, pids = time.time(), []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            in_child(milliseconds / 1000.0)
            os._exit(0)
        os.waitpid(pid, 0)
        pids.append(pid)
    print(json.dumps({"seconds": time.time() - begin, "pids": pids}))


main(int(sys.argv[1]), int(sys.argv[2]))
