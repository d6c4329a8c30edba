"""Two pairs that take turns: hot_a > leaf_a, hot_b > leaf_b.

Legal stacks:

    <module> > endless > drive > hot_a > leaf_a
    <module> > endless > drive > hot_b > leaf_b

hot_a > leaf_b and hot_b > leaf_a are impossible, though the two pairs use the same memory in turn.
"""

from endless import endless

CALLS = 2000

LEGAL = {
    "roots": ["<module>"],
    "parents": {
        "drive": ["endless"],
        "hot_a": ["drive"],
        "hot_b": ["drive"],
        "leaf_a": ["hot_a"],
        "leaf_b": ["hot_b"],
    },
}


def leaf_a():
    return 1


def leaf_b():
    return 2


def hot_a():
    return leaf_a()


def hot_b():
    return leaf_b()


def drive():
    for _ in range(CALLS):
        hot_a()
        hot_b()


if __name__ == "__main__":
    endless(drive, LEGAL)
