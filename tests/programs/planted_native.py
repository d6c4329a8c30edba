"""Burns time in four functions of native code, each of which only one function of Python calls, until a line comes:

    planted_native.py LIBRARY

spin_a   from by_plain, once with and once without the GIL, and from by_plain below other functions
spin_b   from by_second
spin_c   from inner, which native code calls (`call`) that by_callback calls
spin_d   from generate, a generator

Prints READY, waits for a line, burns until the next one, and prints what each function took, in seconds, and where
it begins in the library: {"spin_a": {"wall": 1.2, "offset": 4361}, …}. Runs on 3.6-3.15.
"""

import ctypes
import json
import sys
import threading
import time

ROUNDS = 20000
FUNCTIONS = ["spin_a", "spin_b", "spin_c", "spin_d"]

path = sys.argv[1]
free, held = ctypes.CDLL(path), ctypes.PyDLL(path)
spent = dict.fromkeys(FUNCTIONS, 0.0)
for library in free, held:
    for function in FUNCTIONS:
        getattr(library, function).argtypes = [ctypes.c_long]


# No system call: where a kernel preempts lazily, a thread that shares its CPU with the sampler is met at its calls.
clock = time.perf_counter


def by_plain(library):
    began = clock()
    library.spin_a(ROUNDS)
    spent["spin_a"] += clock() - began


def by_second():
    began = clock()
    free.spin_b(2 * ROUNDS)
    spent["spin_b"] += clock() - began


@ctypes.CFUNCTYPE(None)
def inner():
    began = clock()
    free.spin_c(3 * ROUNDS)
    spent["spin_c"] += clock() - began


def by_callback():
    free.call(inner)


def generate():
    while True:
        began = clock()
        held.spin_d(2 * ROUNDS)
        spent["spin_d"] += clock() - began
        yield


def below(depth):
    if depth:
        below(depth - 1)
    else:
        by_plain(held)


def burn(has_ended):
    generator = generate()
    while not has_ended:
        by_plain(free)
        by_second()
        by_callback()
        next(generator)
        below(5)


def offsets():
    with open("/proc/self/maps") as maps:
        start = min(int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith(path))
    address = lambda name: ctypes.cast(getattr(free, name), ctypes.c_void_p).value
    return {name: address(name) - start for name in FUNCTIONS}


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    has_ended = []
    threading.Thread(target=lambda: has_ended.append(sys.stdin.readline()), daemon=True).start()
    burn(has_ended)
    where = offsets()
    print(json.dumps({name: {"wall": spent[name], "offset": where[name]} for name in FUNCTIONS}), flush=True)


if __name__ == "__main__":
    main()
