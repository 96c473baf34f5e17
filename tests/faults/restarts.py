"""Settings of runs that are stopped and started again, and what is left of them."""

from equality import assert_equal

from lightning_modules.run.checkpoints import read_checkpoint

TORCH = "--model.lr_scheduler=torch.optim.lr_scheduler"
SCHEDULES = {
    "cosine": [f"{TORCH}.CosineAnnealingLR", "--model.lr_scheduler.T_max=5"],
    "one_cycle": [
        f"{TORCH}.OneCycleLR",
        "--model.lr_scheduler.max_lr=0.01",
        "--model.lr_scheduler.total_steps=20",
    ],
    "step": [f"{TORCH}.StepLR", "--model.lr_scheduler.step_size=1", "--model.lr_scheduler.gamma=0.5"],
    "plateau": [
        "--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
        "--model.lr_scheduler.monitor=val/eer",
        "--model.lr_scheduler.patience=0",
    ],
    "warm_up": ["--model.lr_scheduler=stopping.WarmUpAndDecay"],
}
CALLBACKS = {
    "early_stopping": (
        "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/eer, patience: 3}}"
    ),
    "ema": "{class_path: lightning.pytorch.callbacks.EMAWeightAveraging, init_args: {decay: 0.8}}",
    "top_k": "",
}
AT_THE_START_OF_AN_EPOCH = {
    "swa": (
        "{class_path: lightning_modules.callbacks.averaging.StochasticWeightAveraging, init_args: "
        "{swa_lrs: 0.001, swa_epoch_start: 2, annealing_epochs: 2}}"
    ),
    "accumulation": (
        "{class_path: lightning.pytorch.callbacks.GradientAccumulationScheduler, "
        "init_args: {scheduling: {0: 1, 2: 2}}}"
    ),
}
"""What acts there: Lightning passes over it where a restart begins within the epoch."""
SETTINGS = [
    "--config=level_net.yaml",
    "--model.optimizer.lr=0.003",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.limit_test_batches=0",
    "--trainer.enable_model_summary=false",
    "--checkpoints.every_n_train_steps=3",
    "--tracking.wandb=disabled",
    "--run.id=x",
]


def settings(schedule, callback, *more, epochs: int | None = 5):
    callbacks = ", ".join(
        filter(None, [(CALLBACKS | AT_THE_START_OF_AN_EPOCH)[callback], "{class_path: stopping.StopAt}"])
    )
    top_k = ["--checkpoints.save_top_k=2"] if callback == "top_k" else []
    length = [f"--trainer.max_epochs={epochs}"] if epochs else []
    return [*SETTINGS, *SCHEDULES[schedule], f"--trainer.callbacks=[{callbacks}]", *top_k, *length, *more]


def run_of(root):
    return root / "level_net" / "x"


def last(root):
    return read_checkpoint(run_of(root) / "checkpoints/last.ckpt")


def assert_same_run(whole, stopped, metrics_rows, where):
    ours, theirs = last(whole), last(stopped)
    assert ours.keys() == theirs.keys(), where
    for part in ours.keys() - {"callbacks", "callback_metrics"}:  # which hold paths and speeds
        assert_equal(ours[part], theirs[part], f"{where}: {part}")
    rows = [metrics_rows(run_of(root) / "metrics.csv") for root in (whole, stopped)]
    assert rows[0] == rows[1], where
    best = [sorted(run_of(root).glob("checkpoints/best*")) for root in (whole, stopped)]
    assert [path.name for path in best[0]] == [path.name for path in best[1]], where
    for our, their in zip(*best, strict=True):
        for part in ("state_dict", "optimizer_states", "lr_schedulers"):
            assert_equal(read_checkpoint(our)[part], read_checkpoint(their)[part], f"{where}: {our.name}")
