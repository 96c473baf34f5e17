"""File names as text that any terminal, CSV or JSON reader takes, and back: names are bytes, not always UTF-8."""

import os
import re

_ESCAPED = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def escape(name: str) -> str:
    r"""Write a path on one line: a backslash twice, bytes that are no UTF-8 or not printable as ``\xNN``.

    >>> escape(os.fsdecode(b"snare\xff\n.wav"))
    'snare\\xff\\x0a.wav'
    """
    text = os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else "".join(rf"\x{byte:02x}" for byte in c.encode()) for c in text)


def printable(name: str) -> str:
    """A path as it is where it can be printed on one line, else as `escape` writes it."""
    return name if name.isprintable() else escape(name)


def unescape(text: str) -> str:
    """Give back the path that `escape` was given."""

    def byte(found: re.Match[bytes]) -> bytes:
        return b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)])

    return os.fsdecode(_ESCAPED.sub(byte, text.encode()))
