"""Runs the command in its arguments behind a seccomp filter that refuses one system call with one error number.

python forbid.py CALL[,ARGUMENT,BITS] ERROR COMMAND...: the numbers are those of this machine. With BITS only calls are
refused of which this argument, counted from 0, has one of these bits.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
# BPF: load a word of struct seccomp_data, whose first is the number of the call; skip so many steps if it is equal, or has
# a bit, and so many if not; return.
LOAD, JUMP_IF_EQUAL, JUMP_IF_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
# Behind the number are the architecture and an address; arguments have two words, the lower one first.
ARGUMENTS = 16
ERRNO, ALLOW = 0x00050000, 0x7FFF0000


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def main():
    call, *bits = map(int, sys.argv[1].split(","))
    error = int(sys.argv[2])
    argument, bits = bits or (0, None)
    has_bits = [] if bits is None else [(LOAD, 0, 0, ARGUMENTS + 8 * argument), (JUMP_IF_BITS, 0, 1, bits)]
    steps = [
        (LOAD, 0, 0, 0),
        (JUMP_IF_EQUAL, 0, 1 + len(has_bits), call),
        *has_bits,
        (RETURN, 0, 0, ERRNO | error),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    filter = Filter(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(sys.argv[3], sys.argv[3:])


main()
