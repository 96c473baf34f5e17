"""A library of every nasty name, a tagger that hears from the first byte of a file, and what a folder holds."""

import os
from pathlib import Path

CONFIG = str(Path(__file__).parents[2] / "configs" / "production_tagger.yaml")

NASTY = [
    b"plain.wav",
    b"with space.WAV",
    b"-rf.wav",
    b"--into.wav",
    b"quote'\".wav",
    b"$(rm -rf ~);`x`&|.wav",
    b"new\nline\r\ttab.wav",
    b"esc\x1b[31m.wav",
    b"not-utf8-\xff\xfe.wav",
    "ünï-音-🥁.wav".encode(),
    b"back\\x41slash.wav",
    b"comma,semi;.wav",
    b"*?[a].wav",
    b".hidden.wav",
    b"n" * 251 + b".wav",
    b"two.dots.wav",
]


class FirstByte:
    """Tags a file ``drum`` or ``bass`` by its first byte; empty files cannot be tagged."""

    identity = "stub"

    def __init__(self):
        self.classes = ["drum", "bass"]
        self.heard = []

    def probabilities(self, paths):
        for index, path in enumerate(paths):
            self.heard.append(path)
            content = Path(path).read_bytes() if Path(path).exists() else b""
            if not content:
                yield index, "is empty (0 bytes)"
            else:
                yield index, {b"d": [0.9, 0.1], b"b": [0.25, 0.75], b"?": [0.5, 0.5]}[content[:1]]


def tree(folder):
    """Everything below a folder: path -> content, inode, time of change."""
    found = {}
    for place, folders, names in os.walk(folder):
        for path in (Path(place, name) for name in folders + names):
            content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
            status = path.lstat()
            found[path.relative_to(folder)] = (content, status.st_ino, content and status.st_mtime_ns)
    return found


def run(command, *arguments):
    """Exit code of a command, in this process."""
    return command.main([*map(str, arguments), "--device=cpu", "--workers=0"])
