"""Functions compiled, run and dropped by the thousand, each with a name of its own.

Legal stacks, the same N in both names:

    <module> > endless > churn > f_N > leaf_N
    <module> > endless > churn > build

N counts up and never comes back. Every f_N and leaf_N is compiled from a file name of its own,
churn_N.py, f_N at line N % 50 + 2. All code objects are alike in size, so that a new one often gets
the address of one just freed: a cache that knows a code object by its address alone shows f_N over
leaf_M. (On 3.13 its memory grows by about a megabyte a second.)
"""

import builtins
import types

from endless import endless

CALLS = 150
KEEP = 3

# Kept a little while and dropped out of order, so that addresses come back mixed.
kept = []
counter = 0

LEGAL = {
    "roots": ["<module>"],
    "parents": {"churn": ["endless"], "build": ["churn"], "f": ["churn"], "leaf": ["f"]},
    "numbered": ["f", "leaf"],
}

SOURCE = """{blank}
def f_{n}():
    for _ in range({calls}):
        leaf_{n}()

def leaf_{n}():
    return {n}
"""


def build(n):
    """f_N, with leaf_N in its globals. The module's own code is not run: it would be a frame."""
    source = SOURCE.format(blank="\n" * (n % 50), n=n, calls=CALLS)
    module = compile(source, "churn_%d.py" % n, "exec")
    namespace = {"__builtins__": builtins}
    for constant in module.co_consts:
        if isinstance(constant, types.CodeType):
            name = constant.co_name
            namespace[name] = types.FunctionType(constant, namespace, name)
    return namespace


def churn():
    global counter
    for _ in range(50):
        namespace = build(counter)
        namespace["f_%d" % counter]()
        counter += 1
        # The functions and their globals hold each other: cut the ring, so that they go at once.
        kept.append(namespace)
        if len(kept) > KEEP:
            kept.pop(counter % KEEP).clear()


if __name__ == "__main__":
    endless(churn, LEGAL)
