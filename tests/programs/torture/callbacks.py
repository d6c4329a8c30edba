"""C code calling back into Python: sorted(key=...), functools.reduce, min(key=...), map.

Legal stacks, for each way X of sort, reduce, min, map:

    <module> > endless > round_of_all > drive_X > back_X > leaf_X

The C function between drive_X and back_X has no frame. `nest` sorts inside a key function:

    <module> > endless > round_of_all > drive_nest > back_nest > back_nest_deep > leaf_nest

Each callback is legal only under its own caller.
"""

from functools import reduce

from endless import endless

CALLS = 60
DATA = [5, 3, 8, 1, 9, 2, 7]
SHORT = [2, 1, 3]

LEGAL = {
    "roots": ["<module>"],
    "parents": {
        "round_of_all": ["endless"],
        "drive_nest": ["round_of_all"],
        "back_nest": ["drive_nest"],
        "back_nest_deep": ["back_nest"],
        "leaf_nest": ["back_nest_deep"],
    },
}
for kind in ("sort", "reduce", "min", "map"):
    LEGAL["parents"]["drive_" + kind] = ["round_of_all"]
    LEGAL["parents"]["back_" + kind] = ["drive_" + kind]
    LEGAL["parents"]["leaf_" + kind] = ["back_" + kind]


# fmt: off
def leaf_sort(x): return -x
def back_sort(x): return leaf_sort(x)
def leaf_reduce(x, y): return x + y
def back_reduce(x, y): return leaf_reduce(x, y)
def leaf_min(x): return x
def back_min(x): return leaf_min(x)
def leaf_map(x): return x
def back_map(x): return leaf_map(x)
def leaf_nest(x): return -x
def back_nest_deep(x): return leaf_nest(x)
def back_nest(x): return sorted(SHORT, key=back_nest_deep)
# fmt: on


def drive_sort():
    return sorted(DATA, key=back_sort)


def drive_reduce():
    return reduce(back_reduce, DATA)


def drive_min():
    return min(DATA, key=back_min)


def drive_map():
    return list(map(back_map, DATA))


def drive_nest():
    return sorted(SHORT, key=back_nest)


def round_of_all():
    for _ in range(CALLS):
        drive_sort()
        drive_reduce()
        drive_min()
        drive_map()
        drive_nest()


if __name__ == "__main__":
    endless(round_of_all, LEGAL)
