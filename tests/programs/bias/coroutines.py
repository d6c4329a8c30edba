"""Spends its time in coroutines that await coroutines, asynchronous generators and contexts, and tasks that yield.

    coroutines.py SECONDS
"""
import asyncio

from mix import run


async def leaf(x):
    y = x + 1
    return y * 2


async def middle(x):
    y = await leaf(x)
    return y ^ 1


async def outer(x):
    y = await middle(x)
    return y + 1


async def awaits():
    for i in range(500):
        await outer(i)


async def countdown(count):
    while count:
        count = count - 1
        yield count


async def iterates():
    total = 0
    async for value in countdown(700):
        total += value
    return total


async def collects():
    return [value & 3 async for value in countdown(400)]


class Session(object):
    async def __aenter__(self):
        self.open = True
        return self

    async def __aexit__(self, *exception):
        self.open = False


async def sessions():
    session = Session()
    for _ in range(300):
        async with session:
            pass


async def task(count):
    total = 0
    for i in range(count):
        await asyncio.sleep(0)
        total += await leaf(i)
    return total


async def gathers():
    await asyncio.gather(*[task(10) for _ in range(10)])


LOOP = asyncio.new_event_loop()


def complete(work):
    LOOP.run_until_complete(work)


run(
    lambda: complete(awaits()),
    lambda: complete(iterates()),
    lambda: complete(collects()),
    lambda: complete(sessions()),
    lambda: complete(gathers()),
)
