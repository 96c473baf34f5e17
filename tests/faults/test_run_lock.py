"""Two processes never write the same run, and a killed one leaves no lock behind."""

import re
import subprocess
import sys

import pytest

from lightning_modules.run import lock as run_folder

HOLDER = """
import sys, time
from pathlib import Path
from lightning_modules.run.lock import take
take(Path(sys.argv[1]))
print("taken", flush=True)
time.sleep(600)
"""


def test_second_process_is_told_who_writes(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(
            ValueError, match=f"{re.escape(str(folder))}: process {holder.pid} on .* --run.id"
        ):
            run_folder.take(folder)
    finally:
        holder.kill()
        holder.communicate()
    run_folder.take(folder)
    run_folder.take(folder)  # the same process may train on
