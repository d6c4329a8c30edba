"""Runs cells with rsamp's magics in a Jupyter kernel, and prints what a notebook would show of them."""

from jupyter_client.manager import start_new_kernel

DEFINE = """\
%load_ext rsamp
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
"""

PROFILE = """\
%%rsamp --lines
import time
end = time.process_time() + 0.4
while time.process_time() < end:
    collatz(837799)
"""


def show(message):
    content = message["content"]
    if message["msg_type"] == "stream":
        print(content["text"])
    elif message["msg_type"] == "display_data":
        for kind, data in content["data"].items():
            print("{}: {}".format(kind, data[:100]))
    elif message["msg_type"] == "error":
        print(content["evalue"])


manager, client = start_new_kernel()
for title, cell in [
    ("", DEFINE),
    ("profile", PROFILE),
    ("dump", "%rsamp_dump"),
    ("wrong", "%%rsamp --rate 0\npass"),
]:
    print("---", title)
    client.execute_interactive(cell, timeout=60, output_hook=show)
manager.shutdown_kernel(now=True)
