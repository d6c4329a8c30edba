"""Does one thing after the other, each for a while, and says for how long: what a profile must show.

    activity.py SCENE...       the scenes are the functions below, in the order given

It prints READY, waits for a line, plays the scenes, and prints {"scene": {"wall": s, "cpu": s, "queued": s}}:
the time that passed, that on a CPU, and that in which the kernel kept the thread waiting for one (the second
number of schedstat). All of a scene's time passes in the function of its name. Runs on 3.6 and later.
"""

import ctypes
import gc
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

SECONDS = 0.6
if hasattr(time, "thread_time"):
    thread_time = time.thread_time
else:  # 3.6

    def thread_time():
        return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def later(*calls):
    """Another thread makes the calls, a third of the time apart."""

    def make():
        for call in calls:
            time.sleep(SECONDS / len(calls))
            call()

    thread = threading.Thread(target=make, name="later")
    thread.start()
    return thread


def sleep():
    for _ in range(6):
        time.sleep(SECONDS / 6)


def lock():
    held = threading.Lock()
    held.acquire()
    thread = later(held.release)
    held.acquire()
    thread.join()


def pipe():
    source, sink = os.pipe()
    thread = later(*[lambda: os.write(sink, b"x")] * 3)
    for _ in range(3):
        os.read(source, 1)
    thread.join()


def fifo():
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    both = os.open(path, os.O_RDWR)
    thread = later(lambda: os.write(both, b"x"))
    os.read(both, 1)
    thread.join()


def network():
    ours, theirs = socket.socketpair()
    thread = later(*[lambda: theirs.send(b"x")] * 3)
    for _ in range(3):
        ours.recv(1)
    thread.join()


def patient_network():
    """With a time limit CPython waits with poll(2) and not in recv(2)."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    thread = later(lambda: theirs.send(b"x"))
    ours.recv(1)
    thread.join()


def selected_pipes():
    source, sink = os.pipe()
    other, _ = os.pipe()
    thread = later(lambda: os.write(sink, b"x"))
    select.select([source, other], [], [], 60)
    thread.join()


def child():
    subprocess.call(["sleep", str(SECONDS)])


def disk():
    with tempfile.TemporaryFile(dir=os.environ.get("ACTIVITY_FOLDER")) as file:
        block = os.urandom(1 << 20)
        end = time.perf_counter() + 2 * SECONDS
        while time.perf_counter() < end:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())


def python():
    end = time.perf_counter() + SECONDS
    x = 1
    while time.perf_counter() < end:
        for _ in range(1000):
            x = (x * 5 + 1) & 0xFFFF


def native():
    global text
    text = os.urandom(1 << 20) * 4
    told["native"] = told_of(really_native)


def really_native():
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        zlib.crc32(text)


def collect():
    """All but a few microseconds of it is the collection."""
    rings = [[] for _ in range(300000)]
    for ring in rings:
        ring.append(ring)
    told["collect"] = told_of(really_collect)
    del rings, ring


def really_collect():
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        gc.collect()


def hold():
    """Holds the GIL while three threads want it: ctypes.PyDLL does not give it up."""
    hold_gil = ctypes.PyDLL(None).usleep
    stop = threading.Event()

    queued = []

    def want():
        while not stop.is_set():
            time.sleep(0.001)
        queued.append(queued_time())

    threads = [threading.Thread(target=want, name="want") for _ in range(3)]
    for thread in threads:
        thread.start()
    held = 0
    for _ in range(4):
        began = time.perf_counter()
        hold_gil(int(SECONDS / 2 * 1e6))
        held += time.perf_counter() - began
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    told["hold"] = {"wall": held, "queued": sum(queued)}


def share():
    """Two threads that run Python alone."""

    used = []

    def burn():
        used.append(told_of(python))

    threads = [threading.Thread(target=burn, name="burn") for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told["share"] = {clock: sum(of[clock] for of in used) for clock in used[0]}


def crowd():
    """Three threads that run Python alone, on one CPU: who wants the GIL is mostly ready to run."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    all_of([python] * 3)


def mixed():
    """One that runs Python and one that runs native code, on one CPU."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    global text
    text = os.urandom(1 << 20) * 4
    all_of([python, really_native])


def pinned():
    """Three processes that run Python alone, on one CPU."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    source, sink = os.pipe()
    children = [os.fork() or tell_and_exit(sink) for _ in range(2)]
    all_told = [told_of(python)]
    for child in children:
        os.waitpid(child, 0)
    all_told += json.loads(os.read(source, 4096).decode().replace("}{", "},{").join("[]"))
    told["pinned"] = {clock: sum(of[clock] for of in all_told) for clock in all_told[0]}


def tell_and_exit(sink):
    os.write(sink, json.dumps(told_of(python)).encode())
    os._exit(0)


def all_of(scenes):
    """Plays them in threads called as they are."""

    def play(scene):
        told[scene.__name__] = told_of(scene)

    threads = [
        threading.Thread(target=play, name=scene.__name__, args=(scene,))
        for scene in scenes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


told = {}


def queued_time():
    with open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def told_of(scene):
    wall, cpu, queued = time.perf_counter(), thread_time(), queued_time()
    scene()
    return {
        "wall": time.perf_counter() - wall,
        "cpu": thread_time() - cpu,
        "queued": queued_time() - queued,
    }


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    for name in sys.argv[1:]:
        of = told_of(globals()[name])
        told.setdefault(name, of)
    print(json.dumps(told), flush=True)


main()
