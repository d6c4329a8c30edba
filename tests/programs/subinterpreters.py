"""Stands still with a thread named `sub` that waits in a subinterpreter; prints SKIP and why where there
are none (before 3.8, and where the module is not built).

The thread has frames in either interpreter: run -> the call that runs the script (interpreter 0), and on top of
them <module> -> work -> os.read (the subinterpreter). Before 3.10 nothing says in which thread the
latter run: they are told apart. Prints what oracle.hold() promises.
"""

import json
import os
import sys
import threading

import oracle

try:
    if sys.version_info < (3, 8):
        raise ImportError("it cannot run threads in subinterpreters safely")
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
except ImportError as error:
    oracle.skip("no subinterpreters: %s" % error)

# Tells its own stack through a pipe, then waits at another, both on one line.
SCRIPT = """
import json, os, sys
sys.path.insert(0, {folder!r})
import oracle

def tell(frame):
    os.write({told}, (json.dumps(oracle.frames_of(frame)) + "\\n").encode())
    return {wait}

def work():
    os.read(tell(sys._getframe()), 1)

work()
"""


class Sub:
    def __init__(self):
        self.interpreter = interpreters.create()
        self.told, tell = os.pipe()
        wait, self.wake = os.pipe()
        folder = os.path.dirname(os.path.abspath(__file__))
        self.script = SCRIPT.format(folder=folder, told=tell, wait=wait)
        self.outer = None
        self.thread = threading.Thread(name="sub", target=self.run, daemon=True)
        self.thread.start()
        with os.fdopen(self.told) as lines:
            self.inner = json.loads(lines.readline())

    def run(self):
        interpreters.run_string(self.interpreter, self.remember(sys._getframe()))

    def remember(self, frame):
        self.outer = oracle.frames_of(frame)
        return self.script

    def entries(self):
        ident = self.thread.ident
        native = self.thread.native_id
        number = int(self.interpreter)
        if sys.version_info >= (3, 10):
            frames = self.inner + self.outer
            yield oracle.thread_entry(ident, "sub", native, False, frames, number)
            return
        yield oracle.thread_entry(ident, "sub", native, False, self.outer)
        yield oracle.thread_entry(ident, "sub", native, False, self.inner, number)


if __name__ == "__main__":
    # The interpreter itself mixes up threads that are in two interpreters, so these tell themselves.
    oracle.hold(Sub().entries())
    os._exit(0)
