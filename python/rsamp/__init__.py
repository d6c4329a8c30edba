"""rsamp: a sampling profiler for CPython that works from outside the process.

``rsamp`` in a shell, or ``python -m rsamp``, is the program. In IPython and Jupyter, ``%load_ext rsamp`` brings ``%%rsamp`` and
``%rsamp_dump``; with pytest, ``pytest --rsamp`` records the tests.
"""


def load_ipython_extension(ipython):
    """What ``%load_ext rsamp`` calls."""
    from .magics import RsampMagics

    ipython.register_magics(RsampMagics)
