"""What tests of several folders share: a tiny corpus, and real ones where this machine has them."""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from datamodules.cache import VARIABLE
from datamodules.demo import asvspoof, machines
from datamodules.demo.epic_kitchens import write_epic_kitchens
from datamodules.demo.events import write_kinetics_sounds, write_vggsound
from datamodules.demo.machines_of_years import make_demo_of
from datamodules.ssd.corpora import CORPORA
from datamodules.ssd.corpora.located import Located

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine fails no test
hypothesis.settings.load_profile("unhurried")

# Without those that tests themselves were started with.
_OF_RANKS = {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} - os.environ.keys()
_DEFAULT_CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


@pytest.fixture(autouse=True)
def wandb_run_ends_with_its_test() -> Iterator[None]:
    """Otherwise the next test of this process would log into the open run."""
    yield
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()


@pytest.fixture(autouse=True)
def no_rank_is_left_behind() -> Iterator[None]:
    """What Lightning notes of a process that was one of several: a command started there waits for the others."""
    _forget_ranks()
    yield
    _forget_ranks()


def _forget_ranks() -> None:
    for name in _OF_RANKS:
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and what they start, neither find nor leave anything in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo corpus in the layout of ASVspoof 2019 LA; made once a session, not to be changed."""
    folder = tmp_path_factory.mktemp("demo") / "ASVspoof2019_LA"
    asvspoof.make_demo(folder)
    return folder


@pytest.fixture(scope="session")
def demo_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made ASVspoof 2019 LA, 30 utterances, and In-the-Wild, 8, in folders of their names; not to be changed."""
    folder = tmp_path_factory.mktemp("demo_corpora")
    for name in ("asvspoof_2019_la", "in_the_wild"):
        Located(name, CORPORA[name], folder / name).write_demo(folder / name)
    return folder


@pytest.fixture(scope="session")
def demo_machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 1 s in the layout of DCASE 2020 Task 2, 6 training and 4 + 4 test clips an instance."""
    folder = tmp_path_factory.mktemp("demo") / "DCASE2020"
    machines.make_demo(folder, seconds=1.0, num_train=6, num_test=4)
    return folder


@pytest.fixture(scope="session")
def demo_machines_2026(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 0.8 s in the layout of DCASE 2026 Task 2, 9 of training and 8 of test a machine; not to be changed."""
    folder = tmp_path_factory.mktemp("demo") / "DCASE2026"
    make_demo_of(2026, folder, seconds=0.8, num_train=9, num_test=2)
    return folder


@pytest.fixture(scope="session")
def demo_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders VGGSound, KineticsSounds and EPIC-KITCHENS-100, of clips of about a second."""
    folder = tmp_path_factory.mktemp("demo_events")
    write_vggsound(folder / "VGGSound", num_train=12, num_test=2, seconds=1.0)
    write_kinetics_sounds(folder / "KineticsSounds", num_train=12, num_test=2, seconds=1.0)
    write_epic_kitchens(folder / "EPIC-KITCHENS-100")
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real recordings, from AUDIO_CORPORA."""
    folder = Path(os.environ.get("AUDIO_CORPORA", _DEFAULT_CORPORA))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set AUDIO_CORPORA")
    return folder


@pytest.fixture(scope="session")
def metrics_rows() -> Callable[[Path], list[dict[str, str]]]:
    """Reads a metrics.csv, without the speeds: what two runs of one seed must agree on."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as file:
            return [
                {
                    name: value
                    for name, value in row.items()
                    if not name.startswith(("throughput/", "system/"))
                }
                for row in csv.DictReader(file)
            ]

    return read
