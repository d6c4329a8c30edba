"""Calls functions all the time, on any Python from 2.3 on.

x calls x1, that calls x2, and that x3, for x = a and b. Two functions are named `same`: they begin at the lines 29
and 39, and `tests/live/legacy.rs` knows these numbers.
"""


def a(): return a1()


def a1(): return a2()


def a2(): return a3()


def a3(): return 1


def b(): return b1()
def b1(): return b2()
def b2(): return b3()
def b3(): return 2


names = {}
#
#
def same():
    total = 0
    for number in range(20):
        total += number
    return total
names["first"] = same
#
#
#
#
def same():
    total = 0
    for number in range(20):
        total -= number
    return total


print("READY")
__import__("sys").stdout.flush()
while True:
    a()
    b()
    names["first"]()
    same()
