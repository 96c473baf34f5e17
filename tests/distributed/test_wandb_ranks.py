"""Several processes make one W&B run."""

from command import run


def test_two_ranks_make_one_run(demo_corpus, tmp_path):
    run(
        "fit",
        "--config=configs/ssd_lcnn.yaml",
        "--model.network.num_frames=63",
        f"--data.root={demo_corpus}",
        *("--data.train_crop_s=0.5", "--data.eval_crop_s=0.5", "--data.batch_size=4", "--data.num_workers=0"),
        *("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"),
        *("--trainer.max_steps=2", "--trainer.log_every_n_steps=1", "--trainer.enable_progress_bar=false"),
        "--tracking.wandb=offline",
        f"--run.root={tmp_path}",
        "--run.id=x",
    )
    assert len(list(tmp_path.rglob("offline-run-*"))) == 1
    assert [path.parent.name for path in tmp_path.rglob("provenance.json")] == ["x"]
    assert [path.name for path in tmp_path.rglob("mistakes/test.csv")] == ["test.csv"]
