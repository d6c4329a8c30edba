"""Stands still in functions whose line tables are long or jump far:

longest      one function of 40,000 lines, the call on its last one; its line table is longer than
             64 KiB
comments     a call below 3,000 lines of comment, so that one entry jumps far forwards
backwards    a call whose arguments stand 300 lines below its name, so that the line goes back
loop         the body of a loop, after its head was executed again
many_lines   a call over several lines with a call as an argument

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import oracle

LINES = 40000


def longest():
    body = "".join("    x = x + %d\n" % number for number in range(LINES))
    return "def longest(go_on):\n    x = 0\n" + body + "    return go_on()\n"


def comments():
    return "def comments(go_on):\n    x = 1\n" + "    # nothing\n" * 3000 + "    return go_on()\n"


def backwards():
    gap = "\n" * 300
    return "def backwards(go_on):\n    return go_on(*(\n" + gap + "        []\n    ))\n"


def loop():
    head = "def loop(go_on):\n    for number in (\n        range(3)\n    ):\n        y = number\n"
    return head + "        if number == 2:\n            z = y\n            go_on(\n            )\n"


def many_lines(go_on):
    return max(
        1,
        max(
            2,
            len(str(
                go_on()
            )),
        ),
    )


def made(build):
    """The function that the source of `build` defines, in a file of its own."""
    name = build.__name__
    namespace = {}
    exec(compile(build(), name + "-made.py", "exec"), namespace)
    return namespace[name]


def call(functions):
    if not functions:
        return oracle.hold()
    return functions[0](lambda: call(functions[1:]))


if __name__ == "__main__":
    call([made(longest), made(comments), made(backwards), made(loop), many_lines])
