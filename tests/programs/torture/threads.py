"""Four threads, each with a chain of its own, handing the GIL over all the time.

Legal stacks, the same I all the way, for I in 0..3:

    _bootstrap > _bootstrap_inner > run > workerI > topI > midI > leafI

and in the main thread, which only waits:

    <module> > endless > wait_a_little

The switch interval is as short as it can be, and the workers give the GIL away of themselves besides, so that
a stack mixed from two threads shows. (The first three are the threading module's own; while a
thread starts, they call other functions of that module, before READY.)
"""

import sys
import threading
import time

from endless import endless

WORKERS = range(4)
CALLS = 200
WAIT_SECONDS = 0.02

LEGAL = {
    "roots": ["<module>", "_bootstrap"],
    "parents": {
        "_bootstrap": [],
        "_bootstrap_inner": ["_bootstrap"],
        "run": ["_bootstrap_inner"],
        "wait_a_little": ["endless"],
    },
}
for i in WORKERS:
    LEGAL["parents"]["worker%d" % i] = ["run"]
    LEGAL["parents"]["top%d" % i] = ["worker%d" % i]
    LEGAL["parents"]["mid%d" % i] = ["top%d" % i]
    LEGAL["parents"]["leaf%d" % i] = ["mid%d" % i]

started = []


# fmt: off
def leaf0(): return 0
def mid0(): return leaf0()
def top0(): return mid0()
def leaf1(): return 1
def mid1(): return leaf1()
def top1(): return mid1()
def leaf2(): return 2
def mid2(): return leaf2()
def top2(): return mid2()
def leaf3(): return 3
def mid3(): return leaf3()
def top3(): return mid3()
# fmt: on


def worker0():
    started.append(0)
    while True:
        for _ in range(CALLS):
            top0()
        time.sleep(0)


def worker1():
    started.append(1)
    while True:
        for _ in range(CALLS):
            top1()
        time.sleep(0)


def worker2():
    started.append(2)
    while True:
        for _ in range(CALLS):
            top2()
        time.sleep(0)


def worker3():
    started.append(3)
    while True:
        for _ in range(CALLS):
            top3()
        time.sleep(0)


def start_all():
    sys.setswitchinterval(1e-6)
    for worker in (worker0, worker1, worker2, worker3):
        threading.Thread(target=worker, name=worker.__name__, daemon=True).start()
    while len(started) < len(WORKERS):
        time.sleep(0.001)


def wait_a_little():
    if not started:  # only under --verify, whose hook must be there before the threads are
        start_all()
    time.sleep(WAIT_SECONDS)


if __name__ == "__main__":
    if not {"--verify", "--legal"} & set(sys.argv):
        start_all()
    endless(wait_a_little, LEGAL)
