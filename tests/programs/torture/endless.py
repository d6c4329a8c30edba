"""Runs a torture program: prints READY, then rounds of calls until standard input closes.

Every program of this folder hands its grammar of legal stacks and its round to `endless`, and then
has the same command line:

    chain.py              run until standard input closes (with /dev/null: at once) or a signal comes
    chain.py --seconds 5  run that long, whatever standard input does
    chain.py --legal      print the grammar as JSON and leave
    chain.py --verify     run a little, and check each call against the grammar with sys.setprofile;
                          leave with 1 if one was not legal or a function of the grammar never ran

The grammar:

    {"parents": {"leaf0": ["mid0"], ..., "endless": ["<module>"]},   who may call whom directly
     "roots": ["<module>"],                                          who may be outermost
     "numbered": ["f", "leaf"]}                                      only in codechurn.py

A stack is legal when its outermost function is a root and each adjacent pair is allowed; the
innermost may be any. Where "numbered" names f and leaf, any f_12 counts as f and any leaf_12 as
leaf, and two adjacent ones must have the same number.

Standard input is asked between rounds, by a call that does not wait, so that the program has no
thread but its own.
"""

import argparse
import json
import os
import select
import sys
import threading
import time

import check

POLL_SECONDS = 0.05
VERIFY_SECONDS = 0.5


def closed():
    """Whether standard input has come to its end. What is typed meanwhile is thrown away."""
    readable, _, _ = select.select([0], [], [], 0)
    return bool(readable) and not os.read(0, 4096)


def endless(a_round, legal, argv=None):
    """The main program: a_round() over and over. A round should take well under a tenth of a second."""
    parser = argparse.ArgumentParser(description="Do nothing but call.")
    parser.add_argument("--legal", action="store_true", help="print the grammar of legal stacks")
    parser.add_argument("--verify", action="store_true", help="check the grammar against each call")
    parser.add_argument("--seconds", type=float, help="run that long instead of until stdin closes")
    arguments = parser.parse_args(argv)

    legal["parents"].setdefault("endless", ["<module>"])
    legal["parents"].setdefault("closed", ["endless"])
    if arguments.legal:
        print(json.dumps(legal, indent=1, sort_keys=True))
        return
    if arguments.verify:
        verify(a_round, legal)
        return

    print("READY", flush=True)
    end = None if arguments.seconds is None else time.time() + arguments.seconds
    next_poll = 0.0
    while end is None or time.time() < end:
        if end is None and time.time() >= next_poll:
            next_poll = time.time() + POLL_SECONDS
            if closed():
                return
        a_round()


def verify(a_round, legal):
    """Runs rounds with every call checked, here and in threads started from now on."""
    grammar = check.Grammar(legal)
    seen, wrong = set(), set()
    here = sys._getframe()

    def on_call(frame, event, argument):
        if event != "call" or frame.f_back is None:
            return
        # A round is called by `endless`, but while verifying by this function.
        parent = "endless" if frame.f_back is here else frame.f_back.f_code.co_name
        child = frame.f_code.co_name
        if grammar.knows(child):
            seen.add(grammar.base(child))
            if not grammar.allows(parent, child):
                wrong.add((parent, child))

    threading.setprofile(on_call)
    sys.setprofile(on_call)
    end = time.time() + VERIFY_SECONDS
    while time.time() < end:
        a_round()
    sys.setprofile(None)
    threading.setprofile(None)
    # These run before the hook is set, or not at all while verifying.
    helpers = {"endless", "closed", "_bootstrap", "_bootstrap_inner"}
    missing = set(legal["parents"]) - seen - helpers
    for parent, child in sorted(wrong):
        print("not legal: %s > %s" % (parent, child))
    for name in sorted(missing):
        print("never ran: %s" % name)
    print("verified: %d functions" % len(seen))
    if wrong or missing:
        sys.exit(1)
