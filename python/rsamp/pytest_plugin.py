"""Turns a test run into one recording of it, and says of the slowest tests in which line their time went: ``pytest --rsamp``."""

import collections
import json
import os
import tempfile

import pytest

from . import _program

#: Folders whose code is not the user's.
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3")


def pytest_addoption(parser):
    group = parser.getgroup("rsamp", "profiling with rsamp")
    group.addoption(
        "--rsamp",
        action="store_true",
        help="record the tests with rsamp, from outside this process, and show the lines of the slowest",
    )
    group.addoption(
        "--rsamp-output",
        metavar="FILE",
        help="keep the recording here, such as tests.rsamp, for rsamp report and rsamp diff",
    )
    group.addoption(
        "--rsamp-slowest",
        metavar="N",
        type=int,
        default=10,
        help="how many tests to show; 0 for all (default: 10)",
    )
    group.addoption("--rsamp-rate", metavar="HZ", help="samples per second and thread")


def pytest_configure(config):
    # Workers of pytest-xdist are children of the process that is recorded.
    if config.getoption("rsamp") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config), "rsamp-recorder")


class _Recorder:
    def __init__(self, config):
        self._config = config
        self._folder = tempfile.TemporaryDirectory(prefix="rsamp-")
        kept = config.getoption("rsamp_output")
        file = os.path.abspath(kept) if kept else os.path.join(self._folder.name, "tests.rsamp")
        rate = config.getoption("rsamp_rate")
        self._recording = _program.Recording(file, ["--rate", rate] if rate else [])
        self._is_recorded = False
        self._is_kept = bool(kept)
        self._tests = collections.OrderedDict()
        self._error = None

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtestloop(self, session):
        if session.config.getoption("collectonly") or not session.testscollected:
            yield
            return
        try:
            self._recording.start()
        except (_program.Failed, _program.NotInstalled) as error:
            raise pytest.UsageError("--rsamp: {}".format(error)) from None
        try:
            yield
        finally:
            try:
                self._recording.stop()
                self._is_recorded = True
            except _program.Failed as error:
                self._error = error

    def pytest_runtest_logreport(self, report):
        """Set-up, call and tear-down of a test come one by one."""
        start, stop = getattr(report, "start", None), getattr(report, "stop", None)
        if start is None or stop is None:
            return
        before = self._tests.get(report.nodeid)
        self._tests[report.nodeid] = (min(start, before[0]), max(stop, before[1])) if before else (start, stop)

    def pytest_terminal_summary(self, terminalreporter):
        say = terminalreporter.write_line
        if self._is_recorded or self._error:
            terminalreporter.section("rsamp")
        if self._error:
            say("rsamp: {}".format(self._error))
        if not self._is_recorded:
            return
        tests = sorted(self._tests.items(), key=lambda test: test[1][0] - test[1][1])
        try:
            for test, (start, stop) in tests[: self._config.getoption("rsamp_slowest") or None]:
                say("{:8.3f} s  {}".format(stop - start, test))
                line = self._hottest(start, stop)
                if line:
                    say("            {}".format(line))
        except _program.Failed as error:
            say("rsamp: {}".format(error))
        if self._is_kept:
            say("wrote {}: rsamp report {} --lines".format(self._recording.file, self._recording.file))

    def pytest_unconfigure(self):
        self._folder.cleanup()

    def _hottest(self, start, stop):
        """The line of the user's own code with most time between two moments, with what it called: `97 % at file:line …`."""
        began = self._began()
        window = ["--from", max(start - began, 0), "--to", max(stop - began, 0)]
        try:
            report = self._report(*window)
        except _program.Failed:
            # No sample is in so short a time.
            return None
        whole, of_line = 0, collections.Counter()
        stacks, frames = report["stacks"], report["frames"]
        for sample in report["samples"]:
            whole += sample["wall_ns"]
            stack = sample["stack"]
            while stack is not None:
                frame = frames[stacks[stack]["frame"]]
                if self._is_own(frame["file"]) and frame["line"]:
                    of_line[(frame["file"], frame["line"], frame["name"])] += sample["wall_ns"]
                    break
                stack = stacks[stack]["parent"]
        if not of_line:
            return None
        (file, line, name), time = of_line.most_common(1)[0]
        shown = os.path.relpath(file, str(self._config.rootpath))
        return "{:3.0f} % at {}:{} ({}){}".format(100 * time / whole, shown, line, name, _text(file, line))

    def _began(self):
        """When the recording began, in seconds since 1970."""
        if not hasattr(self, "_start"):
            self._start = self._report()["start_unix_ns"] / 1e9
        return self._start

    def _report(self, *words):
        return json.loads(_program.run("report", self._recording.file, "--format", "json", *words))

    def _is_own(self, file):
        root = str(self._config.rootpath) + os.sep
        return bool(file) and file.startswith(root) and not any(part in file for part in _LIBRARIES)


def _text(file, line):
    try:
        with open(file, encoding="utf-8") as lines:
            return ": " + lines.read().splitlines()[line - 1].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        return ""
