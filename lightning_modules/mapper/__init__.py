"""A trained mapping in use: control values live, and new examples learnt on the way, as Wekinator does it."""

from functools import partial

from datamodules.former_names import present

__getattr__ = partial(present, __name__)  # networks that this package once had
