"""Machines: several processes fit the same thresholds and statistics and give the same scores as one."""

import pytest
from command import run, the_row

METHODS = {
    "proxy_outlier": ["--model.network.channels=8", "--model.window=24", "--data.batch_size=4"],
    "maf": ["--model.network.hidden_dim=32", "--model.windows_per_step=16", "--data.batch_size=8"],
    "arcface": [
        "--model.network.channels=8",
        "--model.objective.embedding_dim=32",
        "--model.window=24",
        "--data.batch_size=8",
    ],
}


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=[] if name == "proxy_outlier" else [pytest.mark.slow]) for name in METHODS],
)
def test_two_ranks_train_and_score_like_one(method, demo_machines, tmp_path):
    common = [
        *METHODS[method],
        f"--data.root={demo_machines}",
        "--data.eval_batch_size=3",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=1",
        "--trainer.enable_progress_bar=false",
        "--tracking.wandb=disabled",
        f"--run.root={tmp_path}",
        "--run.id=x",
    ]
    output = run(
        "fit", f"--config=configs/asd_{method}.yaml", *common, "--trainer.devices=2", "--trainer.strategy=ddp"
    )
    assert "unused" not in output.lower()
    (folder,) = (path.parent for path in tmp_path.rglob("results.csv"))
    checkpoint = next(iter((folder / "checkpoints").glob("best*")), folder / "checkpoints/last.ckpt")
    (fitted,) = (folder / "fitted").iterdir()
    fitted.unlink()  # one process fits them anew
    of_two = {path.name: path.read_text() for path in (folder / "scores/test").iterdir()}
    first = the_row(folder)
    run("test", f"--ckpt_path={checkpoint}", "--trainer.devices=1", "--trainer.strategy=auto")
    of_one = {path.name: path.read_text() for path in (folder / "scores/test").iterdir()}
    assert of_one == of_two
    second = the_row(folder)
    assert (first["auc"], first["pauc"], first["clips"]) == (second["auc"], second["pauc"], second["clips"])
