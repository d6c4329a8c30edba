"""Blocks its event loop with one task beside another one that does not, and says for how long each time.

It prints READY, waits for a line, and prints {"blocks": [s, ...]}. Runs on 3.6 and later.
"""

import asyncio
import json
import time


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def ticker():
    while True:
        await asyncio.sleep(0.005)


async def blocker():
    blocks = []
    for _ in range(8):
        begin = time.perf_counter()
        spin(0.15)
        blocks.append(time.perf_counter() - begin)
        await asyncio.sleep(0.05)
    return blocks


print("READY", flush=True)
input()
loop = asyncio.new_event_loop()
ticking = loop.create_task(ticker())
blocks = loop.run_until_complete(blocker())
ticking.cancel()
loop.run_until_complete(asyncio.wait([ticking]))
loop.close()
print(json.dumps({"blocks": blocks}), flush=True)
