"""Makes asyncio tasks that wait for all sorts of things, says in one line of JSON what each is, from what Python itself knows of
it, and waits for the end of its input. Runs on every Python from 3.8 on; `uvloop` as an argument runs it on that loop."""

import asyncio
import json
import sys
import threading

COUNT = 20
told = {}


def frame_of(awaited):
    """The frame of a coroutine, a generator or an asynchronous generator."""
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(awaited, name, None)
        if frame is not None:
            return frame
    return None


def chain(awaited):
    """Function and line of a coroutine and of those that it awaits, outermost first; only as far as Python shows them."""
    while awaited is not None:
        frame = frame_of(awaited)
        if frame is not None:
            yield [frame.f_code.co_name, frame.f_lineno]
        for name in ("cr_await", "gi_yieldfrom", "ag_await"):
            if hasattr(awaited, name):
                awaited = getattr(awaited, name)
                break
        else:
            return


def make(coroutine, name, waits_for, parent=None, leaf=None):
    """A task, and what shall be seen of it: what it waits for, the name of its parent, its innermost function."""
    task = asyncio.get_running_loop().create_task(coroutine)
    if name is not None:
        task.set_name(name)
    told[task] = (waits_for, parent, leaf)
    return task


async def ticker():
    await asyncio.sleep(3600)


async def future(awaited):
    await awaited


async def outer(awaited):
    await middle(awaited)


async def middle(awaited):
    await future(awaited)


async def numbers(awaited):
    for number in range(3):
        await awaited
        yield number


async def more_numbers(awaited):
    async for number in numbers(awaited):
        yield number


async def iterates(awaited):
    async for _ in more_numbers(awaited):
        pass


async def locked(lock):
    async with lock:
        pass


async def queued(queue):
    await queue.get()


async def threaded(event):
    await asyncio.get_running_loop().run_in_executor(None, event.wait)


async def connected(reader, writer):
    await reader.readline()


async def connects(port):
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()


async def gathers():
    await asyncio.gather(*[make(ticker(), "gathered", "sleep", "gathers") for _ in range(3)])


async def gathers_twice():
    inner = make(ticker(), "innermost", "sleep", "gathers twice")
    await asyncio.gather(asyncio.gather(inner))


async def groups():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ticker())
        task.set_name("grouped")
        told[task] = ("sleep", "groups", None)


async def awaits_directly():
    await make(ticker(), "awaited", "sleep", "awaits directly")


async def waits():
    await asyncio.wait([make(ticker(), "waited", "sleep", "waits")])


async def waits_with_limit():
    await asyncio.wait_for(make(ticker(), "limited", "sleep", "waits with limit"), 3600)


async def shields():
    await asyncio.shield(make(ticker(), "shielded", "sleep", "shields"))


async def cancelled():
    await asyncio.sleep(3600)


async def main():
    loop = asyncio.get_running_loop()
    never = loop.create_future()
    lock = asyncio.Lock()
    await lock.acquire()
    event = threading.Event()
    for _ in range(COUNT):
        make(ticker(), None, "sleep", leaf="sleep")
    make(outer(never), "chain", "future", leaf="future")
    make(iterates(never), "generators", "future", leaf="numbers")
    make(locked(lock), "locked", "lock", leaf="acquire")
    make(queued(asyncio.Queue()), "queued", "queue", leaf="get")
    make(threaded(event), "threaded", "thread", leaf="threaded")
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    make(connects(server.sockets[0].getsockname()[1]), "network ☎", "network", leaf="_wait_for_data")
    make(gathers(), "gathers", "task")
    make(gathers_twice(), "gathers twice", "task")
    make(awaits_directly(), "awaits directly", "task")
    make(waits(), "waits", "task")
    make(waits_with_limit(), "waits with limit", "task")
    make(shields(), "shields", "task")
    if hasattr(asyncio, "TaskGroup"):
        make(groups(), "groups", "task")
    over = make(cancelled(), "over", None)
    await asyncio.sleep(0.1)
    over.cancel()
    await asyncio.wait([over])
    await asyncio.sleep(0.1)
    make(future(never), "not begun", None, leaf="future")
    tell()
    sys.stdin.read()
    # Ends at once: the threads and tasks wait for an hour.
    event.set()
    import os

    os._exit(0)


def tell():
    """Prints the tasks. Of the running one Python shows what called it, too; rsamp does not."""
    current = asyncio.current_task()
    tasks = []
    for task in asyncio.all_tasks():
        waits_for, parent, leaf = told.get(task, (None, None, None))
        tasks.append(
            {
                "name": task.get_name() if sys.version_info < (3, 12) or task in told else None,
                "is_told": task in told,
                "is_running": task is current,
                "chain": [] if task is current else list(chain(task.get_coro())),
                "stack": [[frame.f_code.co_name, frame.f_lineno] for frame in task.get_stack()],
                "waits_for": waits_for,
                "parent": parent,
                "leaf": leaf,
            }
        )
    print(json.dumps({"tasks": tasks}), flush=True)


if "uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(main())
