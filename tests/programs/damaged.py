"""Damages its own stack, from 3.11 on, and then waits for a line on standard input:

    damaged.py unmapped    the frame of a running generator names an address without memory as its caller
    damaged.py circle      it names itself
    damaged.py text        it names the characters of a string

The stack from the top: wait, damaged_generator, and then what cannot be. Prints READY just before it
waits; it must be killed, as it cannot return.
"""

import ctypes
import sys

WORD = ctypes.sizeof(ctypes.c_void_p)
# Into a generator: the frame's code lies within so many words.
SEARCHED_WORDS = 16


def word_at(address):
    return ctypes.c_size_t.from_address(address)


def find_frame(generator):
    """The addresses of the frame in a generator and of the field that names its caller."""
    code = id(generator.gi_code)
    words = range(id(generator), id(generator) + SEARCHED_WORDS * WORD, WORD)
    # The low bits are tags from 3.14 on. In 3.11 the generator names its code too, before the frame.
    place = [at for at in words if word_at(at).value & ~3 == code][-1]
    if sys.version_info < (3, 12):
        return place - 4 * WORD, place + 2 * WORD
    return place, place + WORD


def damaged_generator(kind):
    frame, previous = find_frame(GENERATORS[0])
    text = "nonsense" * 100
    values = {"unmapped": 0xDEAD0000, "circle": frame, "text": id(text) + 64}
    word_at(previous).value = values[kind]
    yield wait()


def wait():
    return sys.stdin.readline(announce())


def announce():
    print("READY", flush=True)
    return -1


GENERATORS = []

if __name__ == "__main__":
    GENERATORS.append(damaged_generator(sys.argv[1]))
    next(GENERATORS[0])
