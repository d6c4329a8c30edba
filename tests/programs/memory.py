"""Takes 200 MB in one line, gives 150 of them back in another, and waits: what a profile must book where.

It prints READY, waits for a line, and prints {"grow": bytes, "shrink": bytes, "in_thread": bytes, "peak":
bytes}: by how much its resident memory grew and shrank in these functions, and the most it had, by its own
/proc/self/status.
"""

import json
import sys
import threading
import time

MB = 1 << 20


def resident(field="VmRSS:"):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) * 1024


def burn(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(100))


# Each stays for a moment: the sampler sees the memory of the last line at the tick after it.


def grow():
    blocks = [b"\1" * (50 * MB) for _ in range(4)]
    burn(0.05)
    return blocks


def shrink(blocks):
    del blocks[1:]
    burn(0.05)


def in_thread():
    """The main thread waits meanwhile."""
    kept.append(b"\2" * (100 * MB))
    burn(0.05)


kept = []


def main():
    print("READY", flush=True)
    sys.stdin.readline()
    said = {}
    burn(0.2)
    before = resident()
    blocks = grow()
    said["grow"] = resident() - before
    burn(0.2)
    before = resident()
    shrink(blocks)
    said["shrink"] = before - resident()
    burn(0.2)
    before = resident()
    thread = threading.Thread(target=in_thread, name="allocates")
    thread.start()
    thread.join()
    said["in_thread"] = resident() - before
    burn(0.2)
    said["peak"] = resident("VmHWM:")
    print(json.dumps(said), flush=True)


main()
