"""A job of MPI ranks that hangs: all meet at a barrier, but for the last one, which waits for input that never comes.

    srun python hung.py
"""

import os

from mpi4py import MPI

ranks = MPI.COMM_WORLD


def meet():
    ranks.Barrier()


def wait_for_input():
    reading, writing = os.pipe()
    os.read(reading, 1)


def main():
    print("READY", flush=True)
    if ranks.rank == ranks.size - 1:
        wait_for_input()
    meet()


main()
