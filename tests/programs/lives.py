"""Threads or processes that live 50 ms and more, some at a time, and the CPU time that the kernel counted of them.

    lives.py threads|forks

It prints READY, waits for a line, lets them live, and prints {"cpu": s}: what it and its children have used since
that line. Runs on 3.7 and later.
"""

import json
import os
import resource
import sys
import threading
import time
import zlib

LIVES = 24
AT_ONCE = 3
text = os.urandom(1 << 20)


def python(end):
    while time.perf_counter() < end:
        sum(range(200))


def native(end):
    while time.perf_counter() < end:
        zlib.crc32(text)


def pauses(end):
    while time.perf_counter() < end:
        time.sleep(0.003)


def live(number):
    work = [python, native, pauses][number % 3]
    work(time.perf_counter() + 0.05 + 0.01 * (number % 5))


def threads(numbers):
    all = [threading.Thread(target=live, args=(number,)) for number in numbers]
    for thread in all:
        thread.start()
    for thread in all:
        thread.join()


def forks(numbers):
    children = []
    for number in numbers:
        pid = os.fork()
        if pid == 0:
            live(number)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def used():
    whose = [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN]
    return sum(sum(resource.getrusage(who)[:2]) for who in whose)


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    before = used()
    for first in range(0, LIVES, AT_ONCE):
        globals()[sys.argv[1]](range(first, first + AT_ONCE))
    print(json.dumps({"cpu": used() - before}), flush=True)
    os._exit(0)


main()
