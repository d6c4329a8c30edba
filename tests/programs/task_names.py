"""Runs asyncio tasks for some seconds, each of which runs a function of its own: the task `one` runs `work_one`. So every stack tells
which task it is of. A thread beside them runs `outside`. Runs on every Python from 3.8 on; `uvloop` as a second argument runs
it on that loop."""

import asyncio
import sys
import threading
import time

END = 0
BODY = """
def work_{0}(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
"""


def function_of(name):
    namespace = {"time": time}
    exec(BODY.format(name), namespace)
    return namespace["work_" + name]


async def lasting(name, seconds):
    run = function_of(name)
    while time.perf_counter() < END:
        run(seconds)
        await asyncio.sleep(0)


async def unnamed():
    await lasting("unnamed", 0.001)


async def short(name):
    run = function_of(name)
    run(0.001)
    await asyncio.sleep(0)
    run(0.001)


async def creates():
    """Tasks that end soon: another one is where one was."""
    number = 0
    while time.perf_counter() < END:
        number += 1
        name = "short_%d" % number
        task = asyncio.get_running_loop().create_task(short(name))
        task.set_name(name)
        await task


async def gathers():
    """Its tasks have one function, and no name."""
    await asyncio.gather(*[unnamed() for _ in range(2)])


def outside():
    while time.perf_counter() < END:
        time.sleep(0.001)


async def main():
    # rsamp looks at times only whether asyncio was imported.
    await asyncio.sleep(1.1)
    global END
    END = time.perf_counter() + float(sys.argv[1])
    threading.Thread(target=outside).start()
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(gathers()), loop.create_task(creates())]
    for name, seconds in [("one", 0.001), ("two", 0.002), ("three", 0.003)]:
        task = loop.create_task(lasting(name, seconds))
        task.set_name(name)
        tasks.append(task)
    await asyncio.wait(tasks)


if "uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
