# Runs one function after the other, each for half a second, whose code names the file that the user gives:
# named.py UID FILE... It becomes the user UID first, after a line on standard input.
import os
import sys
import time

BODY = """

def run(end):
    x = 0
    while time.time() < end:
        x += 1
"""


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    uid = int(sys.argv[1])
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    for name in sys.argv[2:]:
        names = {"time": time}
        exec(compile(BODY, name, "exec"), names)
        names["run"](time.time() + 0.5)


main()
