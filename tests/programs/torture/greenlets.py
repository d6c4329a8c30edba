"""Greenlets that switch to one another all the time, from Python and out of C code that called Python.

Legal stacks:

    <module> > endless > round_of_all
    run_a > hot_a > leaf_a
    run_b > hot_b > leaf_b
    run_c > each_c > leaf_c

Each greenlet has a stack of its own, that begins at its own function; no frame of one must be seen under one of another.
hot_a, hot_b and each_c switch; each_c is called by `map`. A greenlet that is not the current one has no entry frames: from
3.12 on they lie on the C stack, of which greenlet makes a copy. New ones are made each round. It needs greenlet.
"""

from endless import endless

SWITCHES = 200

LEGAL = {
    "roots": ["<module>", "run_a", "run_b", "run_c"],
    "parents": {
        "round_of_all": ["endless"],
        "hot_a": ["run_a"],
        "hot_b": ["run_b"],
        "each_c": ["run_c"],
        "leaf_a": ["hot_a"],
        "leaf_b": ["hot_b"],
        "leaf_c": ["each_c"],
    },
}

greenlets = {}


def leaf_a():
    return 1


def leaf_b():
    return 2


def leaf_c():
    return 3


def hot_a():
    leaf_a()
    greenlets["b"].switch()


def hot_b():
    leaf_b()
    greenlets["c"].switch()


def each_c(_):
    leaf_c()
    greenlets["a"].switch()


def run_a():
    for _ in range(SWITCHES):
        hot_a()


def run_b():
    while True:
        hot_b()


def run_c():
    while True:
        list(map(each_c, (1, 2)))


def round_of_all():
    # The first to end leads back here, as their parent; the others are thrown away.
    for name, run in (("a", run_a), ("b", run_b), ("c", run_c)):
        greenlets[name] = greenlet.greenlet(run)
    greenlets["a"].switch()


if __name__ == "__main__":
    import sys

    if "--legal" not in sys.argv:
        import greenlet
    endless(round_of_all, LEGAL)
