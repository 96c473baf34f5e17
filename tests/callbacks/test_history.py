"""The history of a run that is cut off has what was validated until there."""

from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure

from lightning_modules.callbacks import evaluation_media
from lightning_modules.callbacks.evaluation_media import EvaluationMedia
from lightning_modules.callbacks.preemption import Preempted
from lightning_modules.run.folder import Run

# names of a run's own evaluations
PLAIN: Any = SimpleNamespace(of=lambda split, rows: SimpleNamespace(name=split))


@pytest.fixture
def drawn(monkeypatch):
    """Curves of validation of every history that was drawn."""
    found = []

    def note(figure, path, **_):
        (axes,) = figure.axes
        found.append((figure.get_suptitle(), [value for _, value in axes.lines[0].get_xydata().tolist()]))

    monkeypatch.setattr(Figure, "savefig", note)
    return found


def trainer_of(folder, validations):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{value}" for step, value in enumerate(validations)]
    (folder / "metrics.csv").write_text("\n".join(["step,val/eer", *lines]) + "\n")
    trainer: Any = SimpleNamespace(
        is_global_zero=True,
        loggers=[],
        datamodule=SimpleNamespace(corpus="ASVspoof 2021_DF"),
        state=SimpleNamespace(fn=TrainerFn.FITTING),
    )
    return trainer


def test_a_run_that_is_stopped_shows_all_validations(drawn, tmp_path):
    run = Run(id="x", root=str(tmp_path))
    media: Any = EvaluationMedia(run, PLAIN)
    media.on_validation_end(trainer_of(run.folder, [0.5]), None)
    media.on_validation_end(trainer_of(run.folder, [0.5, 0.25]), None)
    media.on_exception(trainer_of(run.folder, [0.5, 0.25, 0.125]), None, Preempted())
    title = "experiment/x: ASVspoof 2021_DF"
    assert drawn == [(title, [0.5]), (title, [0.5, 0.25, 0.125])]


def test_a_run_that_is_killed_shows_those_until_a_minute_before(drawn, monkeypatch, tmp_path):
    run = Run(id="x", root=str(tmp_path))
    media: Any = EvaluationMedia(run, PLAIN)
    for now in (1000.0, 1050.0, 1100.0, 1150.0):
        monkeypatch.setattr(evaluation_media.time, "monotonic", lambda now=now: now)
        media.on_validation_end(trainer_of(run.folder, [now]), None)
    assert [values for _, values in drawn] == [[1000.0], [1100.0]]
