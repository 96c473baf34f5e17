"""A run's id and folder are stable and safe."""

import pytest

from datamodules.files import write_text_atomically
from lightning_modules.run.folder import Run, stable_id


def test_what_is_written_atomically_can_be_read_by_others(tmp_path):
    write_text_atomically(tmp_path / "a.json", "größe")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "größe"


def test_id_depends_on_the_configuration_alone(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    assert stable_id({"a": 1, "b": [2]}) == stable_id({"b": [2], "a": 1})
    assert stable_id({"a": 1}) != stable_id({"a": 2})
    before = stable_id({"data": {"a": 1}})
    assert stable_id({"data": {"a": 1, "resampler": "torchaudio", "allow_truncated": False}}) == before
    assert stable_id({"data": {"a": 1, "resampler": "soxr_hq"}}) != before
    assert stable_id({"a": [{"b": 1}]}) == stable_id({"a": [{"b": 1, "c": None}], "d": None})


def test_id_follows_the_slurm_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert stable_id({"a": 1}) == "slurm-42"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "40")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert stable_id({"a": 1}) == "slurm-40-2"


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b"])
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(ValueError, match=r"run\.id"):
        Run(id=name)


def test_best_checkpoint_by_the_score_in_its_name(tmp_path):
    run = Run(id="x", root=str(tmp_path))
    assert run.best_checkpoint("min") is None
    run.checkpoints.mkdir(parents=True)
    for name in ("best=0.100000-epoch=0003.ckpt", "best=0.020000-epoch=0007.ckpt", "last.ckpt"):
        (run.checkpoints / name).touch()
    lowest, highest = run.best_checkpoint("min"), run.best_checkpoint("max")
    assert lowest is not None
    assert lowest.name.startswith("best=0.02")
    assert highest is not None
    assert highest.name.startswith("best=0.10")


def test_what_earlier_versions_kept_of_nan_is_never_best(tmp_path):
    run = Run(id="x", root=str(tmp_path))
    run.checkpoints.mkdir(parents=True)
    (run.checkpoints / "last.ckpt").touch()
    (run.checkpoints / "best=nan-epoch=0000.ckpt").touch()
    assert run.best_checkpoint("min") is run.best_checkpoint("max") is None
    assert run.chosen_checkpoint("min") == run.last_checkpoint
    (run.checkpoints / "best=inf-epoch=0001.ckpt").touch()
    (run.checkpoints / "best=1e+30-epoch=0002.ckpt").touch()
    found = [run.best_checkpoint(mode) for mode in ("min", "max")]
    assert [path and path.name for path in found] == [
        "best=1e+30-epoch=0002.ckpt",
        "best=inf-epoch=0001.ckpt",
    ]


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "deep" / "config.yaml"
    write_text_atomically(path, "old")
    write_text_atomically(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["config.yaml"]
