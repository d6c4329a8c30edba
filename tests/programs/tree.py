"""Starts a child in the way that the argument names. Parent and child say who they are and work, each in a
function of its own, until the file that TREE_END names exists or its folder is gone. TREE_PYTHON holds the words that start Python."""
import os
import subprocess
import sys
import time

PYTHON = os.environ["TREE_PYTHON"].split()


def work():
    end = os.environ["TREE_END"]
    while os.path.exists(os.path.dirname(end)) and not os.path.exists(end):
        for _ in range(10000):
            pass


def say(text):
    os.write(1, ("%s %d\n" % (text, os.getpid())).encode())


def in_child(*_):
    say("CHILD")
    work()
    return 0


def in_parent():
    say("PARENT")
    work()


def command():
    return PYTHON + [os.path.abspath(__file__), "child"]


def forked(then):
    pid = os.fork()
    if pid == 0:
        try:
            then()
        finally:
            os._exit(0)
    return pid


def execs():
    os.execv(PYTHON[0], command())


def leaves_an_orphan():
    """The child of a child that ends at once."""
    os.setsid()
    forked(in_child)


def start(way):
    """Starts the child; what waits for its end."""
    if way in ("fork", "fork_exec", "fork_twice"):
        then = {"fork": in_child, "fork_exec": execs, "fork_twice": lambda: os.waitpid(forked(in_child), 0)}
        pid = forked(then[way])
        return lambda: os.waitpid(pid, 0)
    if way == "orphan":
        os.waitpid(forked(leaves_an_orphan), 0)
        return lambda: None
    if way == "subprocess":
        return subprocess.Popen(command()).wait
    if way == "not_python":
        # A builtin reads: the shell starts nothing itself.
        shell = subprocess.Popen(["sh", "-c", "echo CHILD $$; read line"], stdin=subprocess.PIPE)
        return shell.communicate
    if way == "shell":
        words = " ".join("'%s'" % word for word in command())
        return subprocess.Popen(words + "; exit 0", shell=True).wait
    if way == "posix_spawn":
        pid = os.posix_spawn(PYTHON[0], command(), os.environ)
        return lambda: os.waitpid(pid, 0)
    if way == "executor":
        from concurrent.futures import ProcessPoolExecutor

        pool = ProcessPoolExecutor(1)
        pool.submit(in_child)
        return pool.shutdown
    import multiprocessing

    child = multiprocessing.get_context(way).Process(target=in_child)
    child.start()
    return child.join


def main():
    way, starts_first = sys.argv[1], "--first" in sys.argv
    if way == "child":
        in_child()
        return
    if not starts_first:
        os.write(1, b"READY\n")
        sys.stdin.readline()
    end = start(way)
    if starts_first:
        os.write(1, b"READY\n")
    in_parent()
    end()


if __name__ == "__main__":
    main()
