"""Starts a Jupyter kernel, defines a function in one cell and runs it for ever in another. Prints READY when that runs; ends
with the end of its input."""

import sys

from jupyter_client.manager import start_new_kernel

DEFINE = """\
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
"""

RUN = """\
print("RUNNING", flush=True)
n = 1
while True:
    collatz(n)
    n += 1
"""

manager, client = start_new_kernel()
client.execute_interactive(DEFINE, timeout=60)
client.execute(RUN)
while True:
    message = client.get_iopub_msg(timeout=60)
    if message["msg_type"] == "stream" and "RUNNING" in message["content"]["text"]:
        break
print("READY", flush=True)
sys.stdin.read()
manager.shutdown_kernel(now=True)
