"""Prints READY and does nothing but call, until it is killed: <module> -> busy -> one -> two -> three.

Runs on 2.7 and 3.3-3.15.
"""

from __future__ import print_function

import sys


def three(number):
    return number + 1


def two(number):
    return three(number)


def one(number):
    return two(number)


def busy():
    number = 0
    while True:
        number = one(number)


print("READY")
sys.stdout.flush()
busy()
