"""Writes the line table of every code object of this interpreter's standard library, and what the
interpreter itself says of it, to standard output. Runs on 3.6-3.15.

One record per code object, every number a 32-bit int in the machine's order:

    first line, bytes of code, bytes of table, number of A pairs, number of B pairs,
    the table, the A pairs, the B pairs

A pair is (end, line): the instructions from the end of the pair before, or 0, up to that byte are
on that line; -1 is no line. A is findlinestarts() up to 3.9 and co_lines() from 3.10 on; B is
co_positions() from 3.11 on and empty before.
"""

import array
import importlib.util
import itertools
import marshal
import operator
import os
import sys
import types
import warnings

HEADER_BYTES = 12 if sys.version_info < (3, 7) else 16
SKIPPED = {"site-packages", "dist-packages", "__pycache__"}


def sources(top):
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(set(folders) - SKIPPED)
        if folder.endswith(os.path.join("lib2to3", "tests")):
            folders[:] = []
            continue
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def module_code(path):
    """The code of a module: as this interpreter compiled it before, or compiles it now."""
    try:
        with open(importlib.util.cache_from_source(path), "rb") as cached:
            data = cached.read()
        if data[:4] == importlib.util.MAGIC_NUMBER:
            return marshal.loads(data[HEADER_BYTES:])
    except OSError:
        pass
    try:
        with open(path, "rb") as source:
            return compile(source.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return None


def code_objects(module):
    waiting = [module]
    while waiting:
        code = waiting.pop()
        yield code
        waiting.extend(c for c in code.co_consts if isinstance(c, types.CodeType))


def by_line_starts(code):
    import dis

    pairs = []
    line = code.co_firstlineno
    for start, next_line in dis.findlinestarts(code):
        pairs += [start, line]
        line = next_line
    pairs += [len(code.co_code), line]
    return pairs


def by_lines(code):
    pairs = []
    for _, end, line in code.co_lines():
        pairs += [end, -1 if line is None else line]
    return pairs


def by_positions(code):
    pairs = []
    end = 0
    first = operator.itemgetter(0)
    for line, units in itertools.groupby(code.co_positions(), first):
        end += 2 * len(list(units))
        pairs += [end, -1 if line is None else line]
    return pairs


def record(code):
    if sys.version_info < (3, 10):
        table, a, b = code.co_lnotab, by_line_starts(code), []
    elif sys.version_info < (3, 11):
        table, a, b = code.co_linetable, by_lines(code), []
    else:
        table, a, b = code.co_linetable, by_lines(code), by_positions(code)
    head = [code.co_firstlineno, len(code.co_code), len(table), len(a) // 2, len(b) // 2]
    return array.array("i", head).tobytes() + table + array.array("i", a + b).tobytes()


def main():
    warnings.simplefilter("ignore")
    out = sys.stdout.buffer
    for path in sources(os.path.dirname(os.__file__)):
        module = module_code(path)
        if module is not None:
            out.write(b"".join(record(code) for code in code_objects(module)))
    out.flush()


main()
