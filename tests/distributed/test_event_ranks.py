"""Audio events: several processes give the probabilities that one gives, views averaged, every clip once."""

import numpy as np
from command import run, the_row


def test_two_ranks_score_like_one(demo_events, tmp_path):
    settings = [
        "--config=configs/event_datar.yaml",
        f"--data.root={demo_events / 'VGGSound'}",
        *("--model.network.dim=32", "--model.network.group_dim=32", "--model.network.depths=[2,2,2,2]"),
        *("--data.train_crop_s=0.5", "--data.eval_crop_s=0.5", "--model.frontend.num_frames=64"),
        *("--data.num_views=3", "--data.batch_size=8", "--data.eval_batch_size=7", "--data.num_workers=0"),
        *("--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"),
        *("--tracking.wandb=disabled", f"--run.root={tmp_path}", "--run.id=x"),
    ]
    output = run("fit", *settings, "--trainer.devices=2", "--trainer.strategy=ddp")
    assert "unused" not in output.lower()
    folder = tmp_path / "event_datar" / "x"
    (checkpoint,) = (folder / "checkpoints").glob("best*")
    of_two = dict(np.load(folder / "scores/test.npz"))
    first = the_row(folder)
    run("test", f"--ckpt_path={checkpoint}", "--trainer.devices=1", "--trainer.strategy=auto")
    of_one = dict(np.load(folder / "scores/test.npz"))
    assert of_one["key"].tolist() == of_two["key"].tolist()
    assert len(of_one["key"]) == len(set(of_one["key"])) == 16
    np.testing.assert_allclose(of_one["probability"], of_two["probability"], atol=1e-6)
    second = the_row(folder)
    assert (first["top1"], first["data"]) == (second["top1"], second["data"])
