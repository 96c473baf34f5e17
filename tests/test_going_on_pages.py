"""The examples "pretrain, then go on" of the methods' pages, as they stand there but for what makes them small."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from tagged_sounds import write_tagged_sounds

from lightning_modules import fit
from lightning_modules.run.checkpoints import read_checkpoint
from lightning_modules.run.folder import checkpoint_of

REPOSITORY = Path(__file__).parents[1]
QUICK = [
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--tracking.wandb=disabled",
    "--data.num_workers=0",
    "--data.batch_size=4",
    "--trainer.limit_test_batches=0",
    "--trainer.limit_val_batches=0",
    "--checkpoints.monitor=null",
]
SMALL = {  # page -> what makes its networks small, and where its corpora lie
    "ssd": ["--model.network.num_frames=63", "--data.train_crop_s=0.5", "--data.root={corpora}/speech"],
    "asd": ["--model.network.hidden_dims=[8]", "--data.root={corpora}/machines"],
    "event": ["--data.train_crop_s=0.5", "--data.eval_crop_s=0.5", "--trainer.limit_val_batches=1"],
    "production": ["--data.root={corpora}/sounds"],
}
ENDING = {"ssd": "none", "asd": "none", "event": "fc.", "production": "none"}  # the head that begins anew


def commands(page: str) -> list[list[str]]:
    """Arguments of the two commands of a page's example."""
    text = (REPOSITORY / f"lightning_modules/{page}/README.md").read_text()
    (block,) = re.findall(r"## Pretrain, then go on\n.*?```sh\n(.*?)```", text, re.DOTALL)
    lines = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    assert [line[:3] for line in lines] == [["python", "-m", "lightning_modules.fit"]] * 2
    return [line[3:] for line in lines]


@pytest.fixture
def corpora(demo_corpus, demo_machines, demo_events, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    monkeypatch.setenv("KINETICS_SOUNDS_ROOT", str(demo_events / "KineticsSounds"))
    (tmp_path / "speech").symlink_to(demo_corpus)
    (tmp_path / "machines").symlink_to(demo_machines)
    write_tagged_sounds(tmp_path / "sounds", num_hits=1)
    return tmp_path


@pytest.mark.parametrize("page", SMALL)
def test_the_second_run_begins_with_the_network_of_the_first(page, corpora, monkeypatch):
    monkeypatch.chdir(corpora)
    (corpora / "configs").symlink_to(REPOSITORY / "configs")
    more = [*QUICK, *(word.format(corpora=corpora) for word in SMALL[page])]
    folders = []
    for number, words in enumerate(commands(page)):
        before = set(corpora.glob("runs/*/*"))
        steps = f"--trainer.max_steps={1 - number}"  # the second says what it begins with
        monkeypatch.setattr(sys, "argv", ["fit", *words, *more, steps])
        fit.main()
        folders += set(corpora.glob("runs/*/*")) - before
    first, second = (read_checkpoint(checkpoint_of(folder))["state_dict"] for folder in folders)
    taken = [name for name in first if name.startswith("network.")]
    head = f"network.{ENDING[page]}"
    assert len(taken) > 4
    for name in taken:
        equal = first[name].shape == second[name].shape and torch.equal(first[name], second[name])
        assert equal != name.startswith(head), name
