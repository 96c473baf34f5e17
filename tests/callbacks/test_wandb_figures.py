"""What other tasks tell W&B beside detection of spoofs: curves of machines, classes taken for others, alerts, seeds."""

import sys
from types import SimpleNamespace

import pytest
from wandb_file import history, records_of_run

from lightning_modules import fit
from lightning_modules.callbacks.alerts import Alerts
from lightning_modules.callbacks.finite_loss import NonFiniteLossError
from lightning_modules.callbacks.preemption import Preempted
from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import PatientWandbLogger, Tracking

pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))


def fitted(monkeypatch, tmp_path, *settings):
    """The folder of a run of seconds, and what its W&B file holds."""
    arguments = [
        *settings,
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1",
        "--trainer.enable_progress_bar=false",
        "--tracking.wandb=offline",
        f"--run.root={tmp_path}",
        "--run.experiment=e",
        "--run.id=x",
    ]
    monkeypatch.setattr(sys, "argv", ["fit", *arguments])
    fit.main()
    return tmp_path / "e/x", history(records_of_run(tmp_path / "e/x"))


def test_machines_have_a_curve(demo_machines, monkeypatch, tmp_path):
    folder, logged = fitted(
        monkeypatch,
        tmp_path,
        "--config=configs/asd_proxy_outlier.yaml",
        f"--data.root={demo_machines}",
        "--model.network.channels=8",
        "--model.window=24",
    )
    assert len(logged["test/auc"]) == 1
    (names,) = logged["test/roc/filenames"]
    assert (folder / "wandb/latest-run/files" / names[0]).is_file()
    assert (folder / "figures/test_roc.png").is_file()


def test_classes_have_a_confusion_matrix(demo_events, monkeypatch, tmp_path):
    folder, logged = fitted(
        monkeypatch,
        tmp_path,
        "--config=configs/event_resnet.yaml",
        f"--data.root={demo_events / 'VGGSound'}",
        "--data.train_crop_s=1",
        "--data.eval_crop_s=1",
        "--data.batch_size=8",
        "--data.validation=0.2",
    )
    assert len(logged["val/top1"]) == len(logged["test/top1"]) == 1
    for split in ("validation", "test"):
        (names,) = logged[f"{split}/confusion_event/filenames"]
        assert (folder / "wandb/latest-run/files" / names[0]).is_file()
        assert (folder / f"figures/{split}_confusion_event.png").is_file()


def test_alerts_reach_the_file(tmp_path):
    logger = PatientWandbLogger(Run(experiment="e", id="x", root=str(tmp_path)), Tracking(wandb="offline"))
    trainer = SimpleNamespace(is_global_zero=True, loggers=[logger], global_step=7)
    for exception in (NonFiniteLossError("NaN"), Preempted()):
        Alerts().on_exception(trainer, None, exception)  # pyright: ignore[reportArgumentType]
    alerts = [each.alert for each in records_of_run(tmp_path / "e/x") if each.HasField("alert")]
    assert [(alert.title, alert.level) for alert in alerts] == [
        ("loss is not finite", "ERROR"),
        ("preempted", "WARN"),
    ]


def test_seeds_of_a_grid_are_runs_of_one_group(tmp_path):
    told = []
    for seed in (1, 2):
        run = Run(experiment="grid", id=f"AASIST-seed_{seed}", root=str(tmp_path))
        PatientWandbLogger(run, Tracking(wandb="offline")).log_metrics({"eer": 0.5}, step=0)
        told += [each.run for each in records_of_run(run.folder) if each.HasField("run")][:1]
    assert [(each.run_group, each.run_id) for each in told] == [
        ("grid", "grid-AASIST-seed_1"),
        ("grid", "grid-AASIST-seed_2"),
    ]
