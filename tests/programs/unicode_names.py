"""Stands still below functions and files whose names need every kind of string that CPython has:
1 byte per character beyond ASCII, 2 bytes, 4 bytes, and a file name that is not UTF-8.

Runs on 3.6-3.15. Prints what oracle.hold() promises.
"""

import oracle

# (file, function): each calls the next.
NAMES = [
    ("plain.py", "plain"),
    ("café.py", "déjà_vu"),
    ("модуль.py", "функция"),
    ("μονάδα.py", "συνάρτηση"),
    ("模块.py", "関数"),
    ("🐍 snake.py", "𠮷野"),
    ("mixed é я 字 🎉.py", "_é_я_字_𠮷"),
    # The byte 0xe9, which is no UTF-8: a lone surrogate in the string.
    ("latin-\udce9.py", "surrogate"),
    ("длинный-" * 200 + ".py", "длинная" * 200),
]

SOURCE = """
class {name}:
    def {name}(self, go_on):
        return (
            go_on()
        )
"""


def call(names):
    if not names:
        return oracle.hold()
    file, name = names[0]
    namespace = {}
    exec(compile(SOURCE.format(name=name), file, "exec"), namespace)
    (class_,) = (value for key, value in namespace.items() if key == name)
    return getattr(class_(), name)(lambda: call(names[1:]))


if __name__ == "__main__":
    call(NAMES)
