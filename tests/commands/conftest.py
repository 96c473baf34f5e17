"""A detector of milliseconds a step, trained and tested once."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contributing_page import NETWORK, files
from toy_run import QUICK, TOY, run_command, write_df, write_la

from lightning_modules import fit


@pytest.fixture(scope="session")
def toy(demo_corpus, tmp_path_factory) -> Iterator[Path]:
    """A folder with the network, ``toy.yaml``, ``DF`` and its overlay ``df.yaml``."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "level_net.py").write_text(files(NETWORK)["level_net.py"])
    (folder / "toy.yaml").write_text(TOY.format(root=write_la(folder / "LA", demo_corpus)))
    write_df(folder / "DF", demo_corpus)
    (folder / "df.yaml").write_text(f"data: {{init_args: {{edition: 2021_DF, root: {folder / 'DF'}}}}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("level_net", None)


def train(toy: Path, *more: str) -> Path:
    """Trains and tests the detector in the working folder; returns the folder of the run."""
    wandb = [] if any("tracking.wandb" in word for word in more) else ["--tracking.wandb=disabled"]
    run_command(fit, f"--config={toy}/toy.yaml", *QUICK, *wandb, *more)
    return max(Path("runs/toy").iterdir(), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="session")
def trained_once(toy, tmp_path_factory) -> Path:
    """Where the detector was trained and tested; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(toy)
    return folder


@pytest.fixture
def trained(toy, trained_once, tmp_path, monkeypatch) -> Callable[..., Path]:
    """Gives the run of a training in an empty folder; other settings are trained anew."""
    monkeypatch.chdir(tmp_path)

    def run(*more: str) -> Path:
        if more:
            return train(toy, *more)
        shutil.copytree(trained_once / "runs", "runs")
        return Path("runs/toy/x")

    return run
