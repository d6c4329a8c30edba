"""Keeps the texts of files that are nowhere on disk in linecache.cache, as IPython does; says in one line of JSON what they
are, and then runs the last of them for ever. Runs on every Python from 3.6 on."""

import json
import linecache

# Distant enough from the first line that only the right text has it there.
CELL = "\n" * 20 + "def step(x):\n    return (x * 5 + 1) & 0xFFFF\n\nx = 1\nwhile True:\n    x = step(x)\n"

texts = {
    "<ipython-input-1-0a1b>": "print('first')\n",
    "/nowhere/ipykernel_1/22.py": "name = 'caf\u00e9 \u043f\u043e\u0442\u043e\u043a \U0001f980'\n\n",
    "<empty>": "",
    "<no line feed>": "x = 1",
    "<long>": "".join("x = %d\n" % number for number in range(3000)),
    "/nowhere/ipykernel_1/333.py": CELL,
}
for name, text in texts.items():
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)

# What is no text: a loader that was not asked, and what no module should leave there.
linecache.cache["<lazy>"] = (lambda: "x = 1\n",)
linecache.cache["<not a list>"] = (1, None, 17, "<not a list>")
linecache.cache["<not lines>"] = (1, None, [1, 2, None], "<not lines>")
linecache.cache["<nothing>"] = None
linecache.cache["<huge>"] = (1, None, ["x\n"] * 100000, "<huge>")

if __name__ == "__main__":
    none = ["<lazy>", "<not a list>", "<not lines>", "<nothing>", "<huge>", "<never seen>"]
    print(json.dumps({"texts": texts, "none": none}), flush=True)
    exec(compile(CELL, "/nowhere/ipykernel_1/333.py", "exec"), {"__name__": "__main__"})
