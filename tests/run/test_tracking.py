"""metrics.csv survives restarts; W&B falls back to offline and keeps its key to itself."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import MetricsCSV, Tracking, artifact_name


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_continues_after_a_restart(tmp_path):
    first = MetricsCSV(tmp_path)
    first.log_metrics({"loss": 1.0}, step=0)
    first.log_metrics({"loss": 0.5}, step=10)
    first.save()
    second = MetricsCSV(tmp_path)
    second.log_metrics({"loss": 0.2, "eer": 0.1}, step=20)
    second.save()
    assert [row["loss"] for row in rows(tmp_path)] == ["1.0", "0.5", "0.2"]
    assert [row["eer"] for row in rows(tmp_path)] == ["", "", "0.1"]


def test_a_new_column_never_empties_the_file(tmp_path, monkeypatch):
    first = MetricsCSV(tmp_path)
    first.log_metrics({"loss": 1.0}, step=0)
    first.save()
    first.log_metrics({"loss": 0.5, "eer": 0.1}, step=10)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            first.save()
    assert [row["loss"] for row in rows(tmp_path)] == ["1.0"]
    second = MetricsCSV(tmp_path)
    second.log_metrics({"eer": 0.2}, step=10)
    second.save()
    assert [(row["loss"], row["eer"]) for row in rows(tmp_path)] == [("1.0", ""), ("", "0.2")]


def test_rewind_drops_what_a_resumed_run_writes_again(tmp_path):
    logger = MetricsCSV(tmp_path)
    for step in (0, 10, 20):
        logger.log_metrics({"loss": float(step)}, step=step)
    logger.save()
    MetricsCSV(tmp_path).rewind(11)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "10"]


@pytest.mark.parametrize("end", ["0", "0,\0\0", "0,5,1.0,7\n", "0,x"])
def test_a_line_that_was_cut_off_hinders_no_restart(end, tmp_path):
    (tmp_path / "metrics.csv").write_text(f"epoch,step,loss\n0,0,2.0\n0,1,1.5\n{end}")
    MetricsCSV(tmp_path).rewind(2)
    assert [row["step"] for row in rows(tmp_path)] == ["0", "1"]


def test_wandb_takes_the_name_of_any_run():
    wandb = pytest.importorskip("wandb")
    names = ["e-id_1-test-scores", "e-größe-test-scores", "e-grösse-test-scores"]
    names += [f"e-{'machine_' * 20}{seed}-checkpoint" for seed in (1, 2)]
    taken = [wandb.Artifact(artifact_name(name), type="scores").name for name in names]
    assert taken[0] == names[0]
    assert len(set(taken)) == len(names)


def test_disabled_wandb_leaves_the_csv(tmp_path):
    loggers = Tracking(wandb="disabled").loggers(Run(id="x", root=str(tmp_path)))
    assert [type(logger) for logger in loggers] == [MetricsCSV]


@pytest.mark.slow
def test_unreachable_server_goes_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    run = Run(id="x", root=str(tmp_path))
    run.folder.mkdir(parents=True)
    logger = Tracking(wandb="online", init_timeout_s=3).loggers(run)[1]
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.finalize("success")
    import wandb

    wandb.finish()
    written = list(run.folder.glob("wandb/offline-run-*"))
    assert len(written) == 1
    text = b"".join(p.read_bytes() for p in run.folder.rglob("*") if p.is_file())
    assert b"0" * 40 not in text


def test_no_key_means_offline(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    logger = Tracking(wandb="online").loggers(Run(id="x", root=str(tmp_path)))[1]
    assert logger._offline  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tags": ["good", "a" * 65]}, "tracking.tags: refused by W&B: .*65 characters"),
        ({"tags": [""]}, "tracking.tags: refused by W&B: .*empty"),
        ({"project": "a/b"}, "tracking.project: refused by W&B"),
    ],
)
def test_what_wandb_would_refuse_is_refused_before_the_run(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Tracking(wandb="offline", **settings).loggers(Run(id="x", root=str(tmp_path)))
    assert not list(tmp_path.iterdir())


OUTLIVES = """
import sys
import time
from pathlib import Path
import psutil
from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import PatientWandbLogger, Tracking
root = Path(sys.argv[1])
logger = PatientWandbLogger(Run(experiment="e", id="x", root=str(root)), Tracking(wandb="offline"))
logger.log_metrics({"loss": 1.0}, step=0)
for child in psutil.Process().children(recursive=True):
    if "wandb" in child.name():
        child.kill()
        child.wait()
for step in range(1, 100):
    logger.log_metrics({"loss": 0.5}, step=step)
    time.sleep(0.01)
logger.log_files("test", root)
print("trained to the end")
"""


def test_training_outlives_wandbs_process(tmp_path):
    pytest.importorskip("psutil")
    process = subprocess.run(
        [sys.executable, "-c", OUTLIVES, tmp_path], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout.splitlines()[-1]) == (0, "trained to the end"), process.stderr
    assert process.stderr.count("W&B: its process has ended") == 1
