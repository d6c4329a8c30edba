"""Blocks its event loop with one task beside another one that does not, and says for how long each time.

While it blocks, 30 tasks are ready to run. With `sleep` as an argument it sleeps meanwhile instead of computing, with `uvloop` it
runs on that loop. It prints READY, waits for a line, and prints {"blocks": [s, ...]}. Runs on 3.6 and later.
"""

import asyncio
import json
import sys
import time


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def ticker():
    while True:
        await asyncio.sleep(0.005)


async def ends():
    pass


async def blocker(block):
    blocks = []
    for _ in range(8):
        for _ in range(30):
            asyncio.ensure_future(ends())
        begin = time.perf_counter()
        block(0.15)
        blocks.append(time.perf_counter() - begin)
        await asyncio.sleep(0.05)
    return blocks


print("READY", flush=True)
input()
block = time.sleep if "sleep" in sys.argv else spin
if "uvloop" in sys.argv:
    import uvloop

    async def both():
        ticking = asyncio.ensure_future(ticker())
        blocks = await blocker(block)
        ticking.cancel()
        return blocks

    uvloop.install()
    blocks = asyncio.run(both())
else:
    loop = asyncio.new_event_loop()
    ticking = loop.create_task(ticker())
    blocks = loop.run_until_complete(blocker(block))
    ticking.cancel()
    loop.run_until_complete(asyncio.wait([ticking]))
    loop.close()
print(json.dumps({"blocks": blocks}), flush=True)
