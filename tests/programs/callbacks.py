"""Stands still in the midst of Python that C called, in these threads:

MainThread   <module> -> main -> hold
qsort        qsort(3) of libc calls a function of Python, by ctypes
sorted       sorted() calls a key function
generator    list() goes on with a generator
init         a class is called, which calls __init__
reduce       a lambda in functools.reduce() in map() in sum()

and a thread of libc's own, in pause(2), which runs no Python. Runs on 2.7 and 3.6-3.15. Prints what oracle.hold() promises.
"""

import ctypes
import functools
import os
import threading

import oracle

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
lock = threading.Lock()


def wait(*_):
    lock.acquire()
    return 0


def compare(left, right):
    return wait()


def by_qsort():
    numbers = (ctypes.c_int * 4)(3, 1, 2, 0)
    libc.qsort(numbers, 4, 4, COMPARE(compare))


def by_sorted():
    sorted([2, 1], key=wait)


def generate():
    yield wait()


def by_generator():
    list(generate())


class Waiting(object):
    def __init__(self):
        wait()


def by_init():
    Waiting()


def by_reduce():
    sum(map(lambda number: functools.reduce(lambda left, right: wait(), [1, number]), [2]))


def main():
    lock.acquire()
    for name, function in [
        ("qsort", by_qsort),
        ("sorted", by_sorted),
        ("generator", by_generator),
        ("init", by_init),
        ("reduce", by_reduce),
    ]:
        thread = threading.Thread(target=function, name=name)
        thread.daemon = True
        thread.start()
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)
    oracle.hold()
    os._exit(0)


if __name__ == "__main__":
    main()
