"""Turns notebook cells into profiles of them: ``%%rsamp`` and ``%rsamp_dump``."""

import html
import os
import shlex
import tempfile

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import HTML, display

from . import _program

#: Files of what runs the cells, without which their own frames are near the top.
MACHINERY = ["*/ipykernel_launcher.py", "*/ipykernel/*", "*/IPython/*", "*/tornado/*", "*/traitlets/*", "*/rsamp/*.py"]

#: The height of the page in the notebook, and of a flame graph, in CSS pixels; what is larger scrolls.
PAGE_HEIGHT = 720
GRAPH_HEIGHT = 480


@magics_class
class RsampMagics(Magics):
    """What ``%load_ext rsamp`` brings."""

    @magic_arguments()
    @argument("-o", "--output", metavar="FILE", help="keep the recording here, such as cell.rsamp")
    @argument("-r", "--rate", metavar="HZ", help="samples per second and thread")
    @argument("-m", "--mode", choices=["wall", "cpu", "gil"], default="wall", help="which time to show")
    @argument("-l", "--lines", action="store_true", help="print the hottest functions line by line, too")
    @argument("-g", "--graph", action="store_true", help="show the flame graph alone: a tenth of the page's size")
    @argument("-t", "--text", action="store_true", help="print the summary only")
    @cell_magic
    def rsamp(self, line, cell):
        """Record this process while the cell runs, and show where the time went.

        rsamp is a process of its own: it reads the memory of this one, and the cell runs as it does without it.
        """
        arguments = parse_argstring(self.rsamp, line)
        with tempfile.TemporaryDirectory(prefix="rsamp-") as folder:
            file = arguments.output or os.path.join(folder, "cell.rsamp")
            rate = ["--rate", arguments.rate] if arguments.rate else []
            recording = _program.Recording(file, rate)
            _checked(recording.start)
            try:
                # Shows the cell's value, and what it raised.
                self.shell.run_cell(cell)
            finally:
                _checked(recording.stop)
            self._show(recording.file, folder, arguments)

    def _show(self, file, folder, arguments):
        shown = ["--mode", arguments.mode]
        summary = _checked(_program.run, "report", file, *shown)
        # What to do next, with a file that will be gone.
        print(summary if arguments.output else summary.partition("\nnext: ")[0])
        if not arguments.text:
            shows = _Picture if arguments.graph else _Page
            path = os.path.join(folder, "cell" + shows.ENDING)
            hidden = [word for pattern in MACHINERY for word in ("--hide", pattern)]
            _checked(_program.run, "report", file, "--quiet", "-o", path, *(shown + hidden))
            with open(path, encoding="utf-8") as written:
                display(shows(written.read()))
        if arguments.lines:
            print(_checked(_program.run, "report", file, "--lines", *shown))

    @line_magic
    def rsamp_dump(self, line):
        """Print what every Python thread of this process is doing now; options are those of ``rsamp dump``."""
        print(_checked(_program.dump, *shlex.split(line)))


class _Framed(HTML):
    """A page of its own within the notebook: its scripts cannot touch the notebook."""

    def __init__(self, page, height):
        style = "width: 100%; height: {}px; border: 0".format(height)
        frame = '<div><iframe sandbox="allow-scripts allow-downloads" style="{}" srcdoc="{}"></iframe></div>'
        super().__init__(frame.format(style, html.escape(page)))


class _Page(_Framed):
    """The HTML page of a recording."""

    ENDING = ".html"

    def __init__(self, page):
        super().__init__(page, PAGE_HEIGHT)

    def __repr__(self):
        return "<page of rsamp>"


class _Picture(_Framed):
    """A flame graph."""

    ENDING = ".svg"

    #: Without it, the graph is as narrow as a picture whose width nobody knows: 300 pixels.
    STYLE = "<!doctype html><style>body { margin: 0 } svg { display: block; width: 100% }</style>"

    def __init__(self, svg):
        # Without the declarations of XML, which HTML has not.
        super().__init__(self.STYLE + svg[svg.index("<svg") :], GRAPH_HEIGHT)

    def __repr__(self):
        return "<flame graph of rsamp>"


def _checked(call, *arguments):
    try:
        return call(*arguments)
    except (_program.Failed, _program.NotInstalled) as error:
        # Shown without a traceback.
        raise UsageError(str(error)) from None
