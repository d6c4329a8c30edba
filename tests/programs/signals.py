"""Says READY, then ten times a second for how many seconds it has run, and SIGUSR1 when it gets that.

    python signals.py             until SIGTERM, at which it makes a file rank-N.sigterm and ends with code 3
    python signals.py abort       the last MPI rank calls MPI_Abort after 4 s
    python signals.py grow        takes ever more memory after 4 s
"""

import os
import signal
import sys
import time

if sys.argv[1:] == ["abort"]:
    from mpi4py import MPI

begin = time.monotonic()


def say(text):
    # In one write, or lines of several ranks get mixed.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def end(number, frame):
    open(f"rank-{os.environ.get('PMI_RANK')}.sigterm", "w").close()
    sys.exit(3)


def work(until):
    while time.monotonic() < until:
        pass


def abort():
    if MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1:
        MPI.COMM_WORLD.Abort(9)


def grow(taken=[]):
    taken.append(b"x" * 20_000_000)


signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGUSR1, lambda number, frame: say("SIGUSR1"))
say("READY")
while True:
    work(time.monotonic() + 0.1)
    elapsed = time.monotonic() - begin
    say(f"ran {elapsed:.2f} s")
    if elapsed > 4 and sys.argv[1:]:
        globals()[sys.argv[1]]()
