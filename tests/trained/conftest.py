"""Small models of every kind, each tested once by the test command."""

import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tagged_sounds import write_tagged_sounds
from torch import Tensor
from trained_cases import CASES, CONFIGS, QUIET

from datamodules.clips import Clip
from lightning_modules import export
from lightning_modules.commands import workflow
from lightning_modules.config import cli


class Tested(NamedTuple):
    """A run, and the scores that its test gave."""

    folder: Path
    clips: Sequence[Clip]
    scores: Tensor
    heads: dict[str, list[str]]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="session")
def speech(demo_corpus, tmp_path_factory) -> Path:
    """The demo corpus with eight utterances to test on."""
    root = tmp_path_factory.mktemp("speech")
    for path in demo_corpus.iterdir():
        (root / path.name).symlink_to(path)
    protocols = root / "ASVspoof2019_LA_cm_protocols"
    protocols.unlink()
    shutil.copytree(demo_corpus / protocols.name, protocols)
    path = protocols / "ASVspoof2019.LA.cm.eval.trl.txt"
    lines = path.read_text().splitlines(keepends=True)
    kept = [[line for line in lines if line.endswith(f"{kind}\n")][:4] for kind in ("spoof", "bonafide")]
    path.write_text("".join(kept[0] + kept[1]))
    return root


@pytest.fixture(scope="session")
def one_shots(tmp_path_factory) -> Path:
    """Hits of four kits in folders of classes, and a list of their tags."""
    return write_tagged_sounds(tmp_path_factory.mktemp("sounds") / "one_shots", num_hits=1)


@pytest.fixture(scope="session")
def roots(speech, demo_machines, demo_events, one_shots) -> dict[str, Path]:
    """Variables that name the corpora."""
    return {
        "ASVSPOOF2019_LA_ROOT": speech,
        "DCASE2020_ROOT": demo_machines,
        "VGGSOUND_ROOT": demo_events / "VGGSound",
        "EPIC_ROOT": demo_events / "EPIC-KITCHENS-100",
        "AUDIO_FOLDER_ROOT": one_shots,
    }


@pytest.fixture(scope="session")
def test_by_command(roots, tmp_path_factory) -> Callable[..., Tested]:
    """Tests a configuration with official weights, or trains it for no step and tests that."""

    def run(*settings: str, name: str = "x") -> Tested:
        config, *more = (setting.format(configs=CONFIGS) for setting in settings)
        with pytest.MonkeyPatch.context() as patch:
            for variable, root in roots.items():
                patch.setenv(variable, str(root))
            folder = f"--run.root={tmp_path_factory.mktemp('runs')}"
            arguments = [f"--config={CONFIGS / config}", *QUIET, folder, f"--run.id={name}", *more]
            has_weights = any(setting.startswith("--model.weights") for setting in more)
            untrained = [] if has_weights else ["--trainer.max_epochs=0"]
            platform: Any = cli.build("test" if has_weights else "fit", "", [*arguments, *untrained])
            if not has_weights:
                torch.manual_seed(0)
                for weight in platform.model.parameters():
                    if not weight.any():  # a logit of 0 for any input
                        torch.nn.init.normal_(weight, std=0.1)
                workflow.train(platform)
            workflow.evaluate(platform, "test")
            clips, scores = platform.model.scored(platform.datamodule, "test")
            return Tested(platform.run_folder.folder, clips, scores, dict(platform.model.heads))

    return run


@pytest.fixture(scope="session")
def tested(test_by_command) -> Callable[[str], Tested]:
    """A case's run, made when it is first asked for."""
    return cache(lambda case: test_by_command(*CASES[case]))


@pytest.fixture(scope="session")
def package(tested) -> Callable[[str], Path]:
    """A case's package."""

    @cache
    def made(case: str) -> Path:
        run = tested(case)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["export", f"--ckpt_path={run.checkpoint}"])
            patch.setattr(cli.Platform, "instantiate_trainer", None)  # is not asked for
            export.main()
        return run.folder / "package"

    return made
