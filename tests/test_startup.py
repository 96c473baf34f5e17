"""What the start of `fit` must not do: import what takes seconds and few runs use, or collect garbage meanwhile."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
HEAVY = {
    "av",
    "lightning_modules.networks.ast",
    "matplotlib.pyplot",  # of these two Lightning's own torchmetrics imports what it finds
    "torchvision",
    "pyroomacoustics",
    "sklearn",
    "timm",
    "torch._inductor",
    "wandb",
}

PROGRAM = """
import gc, runpy, sys
import lightning.pytorch.cli
before = set(sys.modules)
sys.argv[1:] = ["--help"]
try:
    runpy.run_module("lightning_modules.fit", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
assert gc.isenabled() and gc.get_freeze_count() > 100_000
print(*(set(sys.modules) - before), sep=chr(10), file=sys.stderr)
"""


def test_help_imports_nothing_heavy():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.splitlines())
    assert "--model" in done.stdout
    assert "lightning_modules.config.cli" in imported
    assert imported & HEAVY == set()


def test_networks_import_timm_when_one_is_built_that_needs_it():
    program = "import sys, lightning_modules.networks; print('timm' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_loader_worker_imports_no_lightning():
    """What a worker unpickles: clips, how they are put together, and how it is set up."""
    program = (
        "import sys, datamodules.clips, datamodules.loading.loader; print({'lightning'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
