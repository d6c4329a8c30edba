"""Tells what every thread of this program is executing, and then stands still.

    line = hold()

prints one line of JSON, {"threads": [...]}, then the line READY, and waits for a line on standard
input. The stacks are those of the time of waiting, as the interpreter itself tells them. READY is
written just before the main thread begins to wait: whoever reads it waits until that thread is in
state S (tests/live/programs.rs does). A thread is

    {"name": ..., "ident": ..., "native": ..., "main": ..., "interpreter": ..., "frames": [...]}

and a frame, innermost first, [name, file, first line, line]: the name is qualified from 3.11 on, and
lone surrogates are written as U+FFFD. Runs on 2.7 and 3.3-3.15.
"""

from __future__ import print_function

import json
import os
import re
import sys
import threading
import time

LIMIT_SECONDS = 60
PAUSE_SECONDS = 0.02
STATUS_FIELDS = re.compile(br"^(State|voluntary_ctxt_switches):\s*(\S+)", re.M)


def text(value):
    if sys.version_info < (3,):
        return value.decode("utf-8", "replace")
    return re.sub("[\ud800-\udfff]", "\ufffd", value)


def frames_of(frame):
    """The stack that ends in `frame`, innermost first."""
    frames = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        line = [text(name), text(code.co_filename), code.co_firstlineno, frame.f_lineno]
        frames.append(line)
        frame = frame.f_back
    return frames


def thread_entry(ident, name, native, main, frames, interpreter=0):
    return {
        "name": name if name is None else text(name),
        "ident": ident,
        "native": native,
        "main": main,
        "interpreter": interpreter,
        "frames": frames,
    }


def all_threads(own_frame, extra):
    """Every thread of this interpreter, and `extra`; the caller's stack ends in `own_frame`."""
    told = [entry["ident"] for entry in extra]
    known = dict((thread.ident, thread) for thread in threading.enumerate())
    own = threading.current_thread().ident
    entries = list(extra)
    for ident, frame in sys._current_frames().items():
        if ident in told:
            continue
        thread = known.get(ident)
        entries.append(
            thread_entry(
                ident,
                thread and thread.name,
                getattr(thread, "native_id", None),
                type(thread).__name__ == "_MainThread",
                frames_of(own_frame if ident == own else frame),
            )
        )
    return sorted(entries, key=lambda entry: (not entry["main"], entry["ident"]))


def kernel_states():
    """State and number of waits of every other task of this process."""
    states = {}
    for task in os.listdir("/proc/self/task"):
        try:
            # Bytes: the name in it may end within a character (3.14 on hands names to the kernel).
            with open("/proc/self/task/%s/status" % task, "rb") as status:
                fields = STATUS_FIELDS.findall(status.read())
        except (IOError, OSError):
            continue
        if task != str(os.getpid()):
            states[task] = fields
    return states


def wait_until_still():
    """Returns when the other threads have slept through a pause in which they could have run.

    Call it from the main thread."""
    before = None
    begin = time.time()
    while time.time() - begin < LIMIT_SECONDS:
        now = kernel_states()
        if now == before and all((b"State", b"S") in fields for fields in now.values()):
            return
        before = now
        time.sleep(PAUSE_SECONDS)
    raise SystemExit("the other threads do not come to rest")


def announce(threads):
    """Prints what `hold` promises; returns what makes readline() read a whole line."""
    print(json.dumps({"threads": threads}))
    print("READY")
    sys.stdout.flush()
    return -1


def given(value):
    """Gives `value`; the call that made the generator leaves its frame behind on the stack (3.14 on)."""
    yield value


def hold(extra=()):
    """Stands still in the main thread; `extra` are threads that only the program can tell, which
    replace those that the interpreter tells."""
    wait_until_still()
    # One line: the frame stands on it both when it is told and when it waits.
    return sys.stdin.readline(next(given(announce(all_threads(sys._getframe(), list(extra))))))


def skip(reason):
    """Says why this interpreter cannot run the program, and ends it."""
    print("SKIP " + reason)
    sys.stdout.flush()
    os._exit(0)
