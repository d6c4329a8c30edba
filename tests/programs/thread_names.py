"""Starts threads with all sorts of names, says what they are in one line of JSON, and waits for the end
of its input. Runs on every Python from 3.6 on."""

import ctypes
import json
import sys
import threading


class Subclass(threading.Thread):
    """Attributes of its own, so that its instances share no table with those of Thread."""

    def __init__(self, **named):
        self.before = 1
        super().__init__(**named)
        self.after = 2


class Crowded(threading.Thread):
    """More attributes than a shared table takes."""

    def __init__(self, **named):
        super().__init__(**named)
        for number in range(100):
            setattr(self, "attribute_%d" % number, number)


class Name(str):
    """A str that is not compact."""


go = threading.Event()
started = []


def work():
    go.wait()


def start(kind=threading.Thread, **named):
    thread = kind(target=work, daemon=True, **named)
    thread.start()
    started.append(thread)
    return thread


start()
start(name="ascii worker")
start(name="caf\u00e9 \u00fcber")
start(name="\u043f\u043e\u0442\u043e\u043a-1")
start(name="\U0001f980 crab")
start(name="\u0442" * 400)
start(name="lone \udc80 surrogate")
start(name=Name("of a subclass"))
start(kind=Subclass, name="subclass")
start(kind=Crowded, name="crowded")
start(name="before").name = "after \u2192 renamed"
vars(start(name="its dict was asked for"))
gone = start(name="loses an attribute")
del gone._target
for _ in range(40):
    short = threading.Thread(target=int)
    short.start()
    short.join()
    start()


def without_surrogates(text):
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


try:
    runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
except ValueError:  # 3.6
    runtime = None
threads = [threading.main_thread()] + started
print(
    json.dumps(
        {
            "modules": id(sys.modules),
            "runtime": runtime,
            "main": threading.main_thread().ident,
            "names": {str(t.ident): without_surrogates(t.name) for t in threads},
        }
    ),
    flush=True,
)
sys.stdin.read()
