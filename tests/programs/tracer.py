"""Traces a process, as a debugger does, until its standard input ends: tracer.py PID."""

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    print("READY", flush=True)
    sys.stdin.read()


main()
