"""Counts the impossible stacks in what a profiler saw of a torture program.

    python check.py --legal LEGAL.json FOLDED.txt

LEGAL.json is what the program prints with --legal (see endless.py). FOLDED.txt has one stack a
line, outermost first, `a;b;c N`; a frame may be written as py-spy does, `name (file:line)`, as
austin and profiling.sampling do, `file:name:line`, or as a plain name. Of a qualified name the last
part counts. Leading entries that are no frames (P123, T0:456, tid:1, thread (0x7f...), process 12)
are skipped.

The answer is one line of JSON. What it calls samples is the sum of N, whatever the profiler counts
there (austin: microseconds, after mojo2austin):

    stacks      distinct stacks        samples     all samples
    legal       every pair allowed     impossible  a pair that cannot be, or a root that cannot
    other       a function in it that is not the program's: start-up, shutdown, another library
    examples    some impossible stacks and why, most frequent first

With --strict what is `other` counts as impossible. Frames that match --gap are marks for frames
left out: nothing is asked of their neighbours. It leaves with 1 when something was impossible.
"""

import argparse
import json
import re
import sys

# Only before the first frame, as a program's own functions may look like these.
NOT_A_FRAME = re.compile(
    r"^(P\d+|T[0-9a-f]+(:[0-9a-f]+)?|(tid|pid|status):\S*|process \d+.*|thread \(?(0x)?[0-9a-f]+\)?.*|)$"
)
# The line may be unknown, -1, and columns may follow.
FILE_NAME_LINE = re.compile(r"^.+?:([^:()]+)(:-?\d+)+$")
NUMBERED = re.compile(r"^(.+)_(\d+)$")
MAX_EXAMPLES = 10


class Grammar:
    """Which function may call which, and which may be outermost."""

    def __init__(self, legal):
        self.parents = {child: set(parents) for child, parents in legal["parents"].items()}
        self.roots = set(legal["roots"])
        self.numbered = set(legal.get("numbered", []))

    def split(self, name):
        """A function's name without its number, and the number, where it is of a numbered kind."""
        match = NUMBERED.match(name)
        if match and match.group(1) in self.numbered:
            return match.group(1), int(match.group(2))
        return name, None

    def base(self, name):
        return self.split(name)[0]

    def knows(self, name):
        return self.base(name) in self.parents or name in self.roots

    def allows(self, parent, child):
        """Whether parent may call child directly."""
        parent, parent_number = self.split(parent)
        child, child_number = self.split(child)
        if parent_number is not None and child_number is not None and parent_number != child_number:
            return False
        return parent in self.parents.get(child, ())

    def complaint(self, stack, gap=None):
        """What is impossible in a stack, or None."""
        if stack[0] not in self.roots and not is_gap(stack[0], gap):
            return "outermost: %s" % stack[0]
        for parent, child in zip(stack, stack[1:]):
            if is_gap(parent, gap) or is_gap(child, gap):
                continue
            if not self.allows(parent, child):
                return "%s > %s" % (parent, child)
        return None


def is_gap(name, gap):
    return gap is not None and gap.search(name) is not None


def function_name(frame):
    """The function's own name in a frame as one of several profilers writes it."""
    match = FILE_NAME_LINE.match(frame)
    name = match.group(1) if match and " (" not in frame else frame
    name = re.split(r"[ (]", name, maxsplit=1)[0]
    return name.rsplit(".", 1)[-1]


def parse_line(line, gap=None):
    """A folded line into a stack of function names and its number of samples."""
    frames, _, count = line.rpartition(" ")
    stack = []
    for frame in frames.split(";"):
        if is_gap(frame, gap):
            stack.append(frame)
        elif stack or not NOT_A_FRAME.match(frame):
            stack.append(function_name(frame))
    # Not all weights are counts: some profilers write microseconds or seconds.
    return stack, float(count)


def count(lines, grammar, gap=None, strict=False):
    """Adds up a folded file by the verdict on each stack."""
    result = {"stacks": 0, "samples": 0, "legal": 0, "impossible": 0, "other": 0}
    examples = {}
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        stack, samples = parse_line(line, gap)
        if not stack:
            continue
        complaint = grammar.complaint(stack, gap)
        foreign = any(not grammar.knows(name) and not is_gap(name, gap) for name in stack)
        if complaint is None:
            verdict = "legal"
        elif foreign and not strict:
            verdict = "other"
        else:
            verdict = "impossible"
            key = (complaint, ";".join(stack))
            examples[key] = examples.get(key, 0) + samples
        result["stacks"] += 1
        result["samples"] += samples
        result[verdict] += samples
    worst = sorted(examples.items(), key=lambda item: -item[1])[:MAX_EXAMPLES]
    result["examples"] = [
        {"why": why, "stack": stack, "samples": samples} for (why, stack), samples in worst
    ]
    return result


def main():
    parser = argparse.ArgumentParser(description="Count impossible stacks.")
    parser.add_argument("folded", nargs="?", help="folded stacks (default: standard input)")
    parser.add_argument("--legal", required=True, help="what the program prints with --legal")
    parser.add_argument("--gap", type=re.compile, help="pattern of frames that stand for left-out ones")
    parser.add_argument("--strict", action="store_true", help="count unknown functions as impossible")
    arguments = parser.parse_args()
    with open(arguments.legal, encoding="utf-8") as file:
        grammar = Grammar(json.load(file))
    if arguments.folded:
        with open(arguments.folded, encoding="utf-8", errors="replace") as file:
            result = count(file, grammar, arguments.gap, arguments.strict)
    else:
        result = count(sys.stdin, grammar, arguments.gap, arguments.strict)
    print(json.dumps(result))
    sys.exit(1 if result["impossible"] else 0)


if __name__ == "__main__":
    main()
