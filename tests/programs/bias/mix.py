"""Turns a few short pieces of work into a program that does them in turn until its time is over."""
import os
import sys
import time


def run(*works):
    """Prints READY, then calls the works in turn for as many seconds as the command line says."""
    end = time.time() + float(sys.argv[1])
    os.write(1, b"READY\n")
    while time.time() < end:
        for work in works:
            work()
