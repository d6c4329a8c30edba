"""Turns arguments into runs of the program rsamp, some of which look at this very process."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

#: How long rsamp may take until it samples, in seconds: it has to find the interpreter first.
START_TIMEOUT = 20
#: How long it may take to write its files, in seconds.
STOP_TIMEOUT = 120

# <linux/prctl.h>
_PR_SET_PTRACER = 0x59616D61

#: Waits for a line, so that this process can allow the new one to read it before it does.
_GATE = ["/bin/sh", "-c", 'read _ || exit 1; exec "$@"', "rsamp"]


class NotInstalled(Exception):
    """There is no program rsamp."""


class Failed(Exception):
    """rsamp did not do what it was asked for; the text is what it said."""


def path():
    """Where the program is: beside this interpreter, or in PATH."""
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    with contextlib.suppress(Exception):
        # pip install --user
        folders.append(sysconfig.get_path("scripts", "posix_user"))
    for folder in folders:
        found = shutil.which("rsamp", path=folder) if folder else None
        if found:
            return found
    found = shutil.which("rsamp")
    if found:
        return found
    raise NotInstalled(
        "no program rsamp in {}, nor in PATH: pip install --force-reinstall rsamp".format(folders[0])
    )


def run(*arguments):
    """What rsamp prints to standard output; it does not look at this process."""
    done = subprocess.run(
        [path()] + [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if done.returncode:
        raise Failed(_told(done.stderr, done.returncode))
    return done.stdout.decode("utf-8", "replace")


def dump(*arguments):
    """What ``rsamp dump`` prints of this process."""
    child = _start(["dump", "--pid", os.getpid()] + list(arguments), stdout=subprocess.PIPE)
    try:
        out, errors = child.communicate(timeout=STOP_TIMEOUT)
    finally:
        _forbid(child)
    if child.returncode:
        raise Failed(_told(errors, child.returncode))
    return out.decode("utf-8", "replace")


class Recording:
    """A recording of this process and its children, to a file: from :meth:`start` until :meth:`stop`."""

    def __init__(self, file, arguments=()):
        self.file = os.path.abspath(str(file))
        self._arguments = list(arguments)
        self._child = None

    def start(self):
        """Returns when rsamp samples."""
        words = ["attach", "--quiet", "--force", "--output", self.file, "--pid", os.getpid()]
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.file)
        self._child = _start(words + self._arguments, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT
        # The file is not empty once there is something to write.
        while not (os.path.exists(self.file) and os.path.getsize(self.file)):
            if self._child.poll() is not None:
                self._end()
            if time.monotonic() > deadline:
                self._child.kill()
                self._end()
            time.sleep(0.01)

    def stop(self):
        """Returns when the file is whole."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        self._end(is_wanted=True)

    def _end(self, is_wanted=False):
        child = self._child
        try:
            _, errors = child.communicate(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
            _, errors = child.communicate()
        finally:
            _forbid(child)
        # 130: by the signal. What else it was, what was recorded until then may be there.
        is_whole = child.returncode in (0, 128 + signal.SIGINT, -signal.SIGINT)
        if not is_wanted or not is_whole:
            raise Failed(_told(errors, child.returncode))


def _start(words, stdout):
    """Starts rsamp so that it may read this process: Yama allows it to parents only, and to whom the process names."""
    child = subprocess.Popen(
        _GATE + [path()] + [str(word) for word in words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        # Ctrl-C is for this process; rsamp ends when it is told to.
        start_new_session=True,
    )
    _allow(child.pid)
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"\n")
        child.stdin.flush()
    return child


def _allow(pid):
    # Fails where there is no Yama, and then is not needed.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(pid), 0, 0, 0)


def _forbid(child):
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    _allow(0)


def _told(errors, code):
    text = errors.decode("utf-8", "replace").strip()
    return text or "rsamp ended with exit code {} and said nothing".format(code)
