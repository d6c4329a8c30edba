"""Stands still in outer -> Middle.method -> inner -> hold, with one more thread that waits in a lock.

Runs on 2.7 and 3.3-3.15. Prints what oracle.hold() promises.
"""

import threading

import oracle


def inner():
    return oracle.hold()


class Middle(object):
    def method(self):
        return [
            inner(),
        ]


def outer():
    return Middle().method()


def wait_for(lock):
    lock.acquire()


lock = threading.Lock()
lock.acquire()
thread = threading.Thread(target=wait_for, args=(lock,))
thread.daemon = True
thread.start()
outer()
