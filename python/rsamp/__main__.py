"""Turns ``python -m rsamp`` into the program rsamp, in this process."""

import os
import sys

from ._program import NotInstalled, path

try:
    program = path()
except NotInstalled as error:
    sys.exit("rsamp: error: {}".format(error))
os.execv(program, [program] + sys.argv[1:])
