"""Deep recursion, up and down.

Legal stacks:

    <module> > endless > round_of_all > drive_pair > even > odd > even > odd > ... > bottom_pair
    <module> > endless > round_of_all > drive_ring > ring0 > ring1 > ... > ring6 > ring0 > ...
    ... > ring3 > bottom_ring

even and odd take turns, so that a frame left out or seen twice shows. The seven rings show that for
any number of frames but a multiple of seven, and come up only part of the way before they go down
again, from ring3, so that the same memory holds now this branch, now that. bottom_pair stands only on
even (the depth is even), bottom_ring only on ring3.
"""

from endless import endless

PAIR_DEPTH = 400
RING_DEPTHS = (24, 101, 304)  # 3 more than a multiple of 7: the last is ring3
RING_FROM = 17  # ring3 as well; the turn-round is made there

LEGAL = {
    "roots": ["<module>"],
    "parents": {
        "round_of_all": ["endless"],
        "drive_pair": ["round_of_all"],
        "even": ["drive_pair", "odd"],
        "odd": ["even"],
        "bottom_pair": ["even"],
        "drive_ring": ["round_of_all"],
        "ring0": ["drive_ring", "ring6"],
        "bottom_ring": ["ring3"],
    },
}
for i in range(1, 7):
    LEGAL["parents"]["ring%d" % i] = ["ring%d" % (i - 1)]


def bottom_pair():
    return 0


def even(n):
    return odd(n - 1) if n else bottom_pair()


def odd(n):
    return even(n - 1)


def bottom_ring():
    return 1


# fmt: off
def ring0(n, depth): return ring1(n + 1, depth)
def ring1(n, depth): return ring2(n + 1, depth)
def ring2(n, depth): return ring3(n + 1, depth)
def ring4(n, depth): return ring5(n + 1, depth)
def ring5(n, depth): return ring6(n + 1, depth)
def ring6(n, depth): return ring0(n + 1, depth)
# fmt: on


def ring3(n, depth):
    if n == depth:
        return bottom_ring()
    if n == RING_FROM:
        for each in RING_DEPTHS:
            ring4(n + 1, each)
        return 0
    return ring4(n + 1, depth)


def drive_pair():
    even(PAIR_DEPTH)


def drive_ring():
    ring0(0, 0)


def round_of_all():
    for _ in range(10):
        drive_pair()
        drive_ring()


if __name__ == "__main__":
    endless(round_of_all, LEGAL)
