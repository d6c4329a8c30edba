"""Runs on, beside a child that runs on as another user: other_user.py UID."""

import os
import sys


def run_on(parent):
    while os.getppid() == parent:
        pass


def main():
    ready, told = os.pipe()
    own, parent = os.getpid(), os.getppid()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(int(sys.argv[1]))
        os.setuid(int(sys.argv[1]))
        os.write(told, b"x")
    else:
        os.read(ready, 1)
        print("READY", flush=True)
    run_on(parent if child else own)


main()
