"""One, two and three processes give the same scores; two train without complaints."""

import csv
import shutil

import pytest
from command import run

COMMON = [
    "--data.train_crop_s=0.5",
    "--data.eval_crop_s=0.5",
    "--data.eval_batch_size=3",
    "--data.num_workers=0",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--tracking.wandb=disabled",
]
LCNN = [
    "--config=configs/ssd_lcnn_inf_ini.yaml",
    "--model.network.num_frames=63",
    "--model.inter_instance.bank_size=32",
]
AASIST = ["--config=configs/ssd_aasist_inf_ini.yaml", "--model.inter_instance.bank_size=32"]


@pytest.fixture(scope="module")
def odd_corpus(demo_corpus, tmp_path_factory):
    """The demo corpus with an evaluation split of a prime number of clips."""
    root = tmp_path_factory.mktemp("odd") / "ASVspoof2019_LA"
    shutil.copytree(demo_corpus, root)
    protocol = root / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"
    lines = protocol.read_text().splitlines(keepends=True)
    protocol.write_text("".join(lines[:37]))
    return root


def train(config, root, run_root, *, devices):
    return run(
        "fit",
        *config,
        *COMMON,
        f"--data.root={root}",
        f"--run.root={run_root}",
        "--run.id=x",
        "--data.batch_size=4",
        "--trainer.max_steps=2",
        f"--trainer.devices={devices}",
        "--trainer.strategy=ddp" if devices > 1 else "--trainer.strategy=auto",
    )


@pytest.mark.parametrize(
    "config", [LCNN, pytest.param(AASIST, marks=pytest.mark.slow)], ids=["lcnn", "aasist"]
)
def test_scores_do_not_depend_on_the_number_of_ranks(config, odd_corpus, tmp_path):
    train(config, odd_corpus, tmp_path, devices=1)
    (folder,) = (path.parent for path in tmp_path.rglob("results.csv"))
    checkpoint = f"--ckpt_path={folder}/checkpoints/last.ckpt"
    outcomes = []
    for devices in (1, 2, 3):
        strategy = "auto" if devices == 1 else "ddp"
        run("test", checkpoint, f"--trainer.devices={devices}", f"--trainer.strategy={strategy}")
        with (folder / "results.csv").open(newline="") as file:
            row = list(csv.DictReader(file))[-1]
        outcomes.append(((folder / "scores/test.txt").read_text(), row["eer"], row["min_tdcf"], row["clips"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0][3] == "37"


@pytest.mark.parametrize(
    "config", [LCNN, pytest.param(AASIST, marks=pytest.mark.slow)], ids=["lcnn", "aasist"]
)
def test_two_ranks_train_every_parameter(config, odd_corpus, tmp_path):
    output = train(config, odd_corpus, tmp_path, devices=2)
    assert "unused" not in output.lower()
    assert list(tmp_path.rglob("scores/test.txt"))
