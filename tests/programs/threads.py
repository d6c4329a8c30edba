"""Stands still with these threads, each of which has been stopped by something else:

MainThread   <module> -> main -> hold
lock         waits for a lock that the main thread holds
Schläfer     time.sleep(), name in Latin-1
ожидание     threading.Event.wait(), name in Cyrillic
🧵 join       joins the thread `lock`, name in emoji
列 queue      queue.Queue.get(), name in CJK
pool_0       idle worker of a thread pool
read         os.read() of an empty pipe
condition    threading.Condition.wait() with a timeout
bare         started by _thread, so that threading does not know its name

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import _thread
import concurrent.futures
import os
import queue
import threading
import time

import oracle

LONG_SECONDS = 100000


def wait_for_lock(lock):
    lock.acquire()


def sleep_long():
    time.sleep(
        LONG_SECONDS
    )


def wait_for_event(event):
    return nested_wait(event)


def nested_wait(event):
    event.wait()


def join(thread):
    thread.join()


def get_from(items):
    return items.get()


def read_pipe(descriptor):
    os.read(descriptor, 1)


def wait_for_condition(condition):
    with condition:
        condition.wait(LONG_SECONDS)


def bare(lock):
    with lock:
        pass


class Named(threading.Thread):
    def __init__(self, name, target, *args):
        super().__init__(name=name, target=target, args=args, daemon=True)
        self.start()


def main():
    lock = threading.Lock()
    lock.acquire()
    locked = Named("lock", wait_for_lock, lock)
    Named("Schläfer", sleep_long)
    Named("ожидание", wait_for_event, threading.Event())
    Named("🧵 join", join, locked)
    Named("列 queue", get_from, queue.Queue())
    Named("read", read_pipe, os.pipe()[0])
    Named("condition", wait_for_condition, threading.Condition())
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool")
    pool.submit(int).result()
    _thread.start_new_thread(bare, (lock,))
    oracle.hold()
    os._exit(0)


if __name__ == "__main__":
    main()
