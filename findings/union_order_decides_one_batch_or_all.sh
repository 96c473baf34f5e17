#!/usr/bin/env bash
# jsonargparse 4.53.0 on CPython 3.11: which of int and float an option "1" becomes depends on what was imported before.
#
# Lightning's Trainer takes limit_train_batches: Optional[Union[int, float]], where 1 is one batch and 1.0 all of them.
# typing keeps Union[...] in a cache whose keys compare equal whatever their order, so that Union[int, float] evaluated
# after another module's Union[float, int] *is* that one, and jsonargparse, which tries the members of a union in
# their order, reads "1" as 1.0. Importing rich.console, rich.table, torch and scipy.special before Lightning does it.
#
# Seen: fresh process "int 1"; after Union[float, int] "float 1.0".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "jsonargparse[signatures]==4.53.0"
cat > "$folder/limit.py" <<'PYTHON'
import sys
from typing import Optional, Union

if sys.argv[1] == "after":  # as any module that is imported earlier may say
    _ = Optional[Union[float, int]]

from jsonargparse import ArgumentParser


class Trainer:
    def __init__(self, limit_train_batches: Optional[Union[int, float]] = None) -> None:
        self.limit_train_batches = limit_train_batches


parser = ArgumentParser()
parser.add_class_arguments(Trainer, "trainer")
found = parser.parse_args(["--trainer.limit_train_batches=1"]).trainer.limit_train_batches
print(type(found).__name__, found)
PYTHON
fresh=$("$folder/venv/bin/python" "$folder/limit.py" fresh)
after=$("$folder/venv/bin/python" "$folder/limit.py" after)
"$folder/venv/bin/python" --version
echo "fresh process: $fresh; after Union[float, int]: $after"
[ "$fresh" = "int 1" ] && [ "$after" = "float 1.0" ]
