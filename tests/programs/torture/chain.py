"""A plain chain: drive > topI > midI > leafI, for I in 0..8.

Legal stacks:

    <module> > endless > drive > topI > midI > leafI        the same I all the way

Any mixture of two I is impossible: it was put together from two different moments.
"""

from endless import endless

BRANCHES = range(9)
CALLS = 300

LEGAL = {"roots": ["<module>"], "parents": {"drive": ["endless"]}}
for i in BRANCHES:
    LEGAL["parents"]["top%d" % i] = ["drive"]
    LEGAL["parents"]["mid%d" % i] = ["top%d" % i]
    LEGAL["parents"]["leaf%d" % i] = ["mid%d" % i]


# fmt: off
def leaf0(): return 0
def mid0(): return leaf0()
def top0(): return mid0()
def leaf1(): return 1
def mid1(): return leaf1()
def top1(): return mid1()
def leaf2(): return 2
def mid2(): return leaf2()
def top2(): return mid2()
def leaf3(): return 3
def mid3(): return leaf3()
def top3(): return mid3()
def leaf4(): return 4
def mid4(): return leaf4()
def top4(): return mid4()
def leaf5(): return 5
def mid5(): return leaf5()
def top5(): return mid5()
def leaf6(): return 6
def mid6(): return leaf6()
def top6(): return mid6()
def leaf7(): return 7
def mid7(): return leaf7()
def top7(): return mid7()
def leaf8(): return 8
def mid8(): return leaf8()
def top8(): return mid8()
# fmt: on


def drive():
    for _ in range(CALLS):
        top0()
        top1()
        top2()
        top3()
        top4()
        top5()
        top6()
        top7()
        top8()


if __name__ == "__main__":
    endless(drive, LEGAL)
