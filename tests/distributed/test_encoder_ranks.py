"""A detector on XLS-R: two processes leave no parameter unused and score as one does."""

import pytest
from command import run, the_row

TRAINED = {"all": [], "lora": ["--model.network.encoder.lora={targets: [q_proj, v_proj], rank: 4}"], "1": []}


@pytest.mark.parametrize(
    "trainable",
    ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("all", "1"))],
)
def test_two_ranks_train_and_score_like_one(trainable, demo_corpus, tmp_path):
    common = [
        "--config=configs/overlays/ssd_small_encoder.yaml",
        f"--model.network.encoder.trainable={trainable}",
        *TRAINED[trainable],
        f"--data.root={demo_corpus}",
        "--data.batch_size=8",
        "--data.eval_batch_size=5",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=2",
        "--trainer.enable_progress_bar=false",
        "--tracking.wandb=disabled",
        f"--run.root={tmp_path}",
        "--run.id=x",
    ]
    output = run(
        "fit",
        "--config=configs/ssd_xlsr_aasist.yaml",
        *common,
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
    )
    assert "unused" not in output.lower()
    (folder,) = (path.parent for path in tmp_path.rglob("results.csv"))
    checkpoint = next(iter((folder / "checkpoints").glob("best*")), folder / "checkpoints/last.ckpt")
    of_two, first = (folder / "scores/test.txt").read_text(), the_row(folder)
    run("test", f"--ckpt_path={checkpoint}", "--trainer.devices=1", "--trainer.strategy=auto")
    assert (folder / "scores/test.txt").read_text() == of_two
    second = the_row(folder)
    assert (first["eer"], first["clips"]) == (second["eer"], second["clips"])
