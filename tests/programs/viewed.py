"""What scripts/page-pictures looks at, some seconds of each:

    viewed.py server    threads that answer requests of other threads over sockets, one with a hot loop, one with a lock
    viewed.py rank      one of several ranks that compute for different times and wait for the slowest; RANK from the launcher
    viewed.py leak      a cache that grows beside a buffer that does not
    viewed.py tasks     asyncio tasks that compute, wait, and block their loop now and then

Needs nothing but the standard library. Runs on 3.8 and later.
"""

import asyncio
import gc
import os
import socket
import socketserver
import sys
import threading
import time

SECONDS = 6.0


def burn(seconds):
    until = time.perf_counter() + seconds
    total = 0
    while time.perf_counter() < until:
        total += sum(i * i for i in range(200))
    return total


lock = threading.Lock()
counts = {}


def parse(line):
    return [int(part) for part in line.split(b",")]


def count(numbers):
    with lock:
        time.sleep(0.002)
        counts[len(numbers)] = counts.get(len(numbers), 0) + 1


def render(numbers):
    return b"%d\n" % (sum(numbers) + burn(0.004) % 2)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            numbers = parse(line)
            count(numbers)
            self.wfile.write(render(numbers))


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


def ask(address, until):
    with socket.create_connection(address) as connection:
        with connection.makefile("rwb") as stream:
            while time.monotonic() < until:
                stream.write(b",".join(b"%d" % i for i in range(300)) + b"\n")
                stream.flush()
                stream.readline()


def server():
    with Server(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, name="accept", daemon=True).start()
        until = time.monotonic() + SECONDS
        clients = [threading.Thread(target=ask, args=(serving.server_address, until), name="client %d" % i) for i in range(5)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        serving.shutdown()


def assemble(share):
    return burn(0.3 * share)


def solve(share):
    return burn(0.2 + 0.2 * share)


def wait_for_slowest(until):
    time.sleep(max(0.0, until - time.monotonic()))


def rank():
    number = int(next((os.environ[name] for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK") if name in os.environ), "0"))
    for step in range(5):
        until = time.monotonic() + 1.2
        assemble(0.4 + number % 4 / 4)
        solve(0.5 + (number == 5))
        wait_for_slowest(until)


cache = []


def remember(size):
    cache.append(b"\1" * size)


def leak():
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        buffer = bytearray(b"\2" * (20 << 20))
        burn(0.1)
        remember(3 << 20)
        burn(0.1)
        del buffer
        gc.collect()


async def fetch(delay):
    await asyncio.sleep(delay)
    return delay


async def crawl(delay):
    for _ in range(int(SECONDS / delay / 2)):
        await fetch(delay)
        burn(delay / 8)


async def report():
    for _ in range(3):
        await asyncio.sleep(SECONDS / 4)
        time.sleep(0.3)


async def all_tasks():
    names = {"crawl %d" % i: crawl(0.02 * (i + 1)) for i in range(5)}
    names["report"] = report()
    await asyncio.gather(*(asyncio.get_running_loop().create_task(task, name=name) for name, task in names.items()))


if __name__ == "__main__":
    {"server": server, "rank": rank, "leak": leak, "tasks": lambda: asyncio.run(all_tasks())}[sys.argv[1]]()
