"""Runs asyncio tasks that begin at once (`asyncio.eager_task_factory`, 3.12 on) for some seconds: `work_eager` runs in a task of
`child`, which the task of `parent` starts and waits for, and `work_parent` in that one."""

import asyncio
import sys
import time


def work_eager(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def work_parent(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def child():
    work_eager(0.002)
    await asyncio.sleep(0)
    work_eager(0.002)


async def parent(end):
    while time.perf_counter() < end:
        task = asyncio.get_running_loop().create_task(child())
        work_parent(0.002)
        await task


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    await loop.create_task(parent(time.perf_counter() + float(sys.argv[1])))


asyncio.run(main())
