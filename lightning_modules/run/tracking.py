"""Loggers: CSV always, Weights & Biases where it can be reached, and one line when it cannot."""

import csv
import hashlib
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_only, rank_zero_warn

from datamodules.files import csv_text, write_text_atomically
from lightning_modules.run.folder import WAITING, Run

_SYNC = "python -m lightning_modules.sync"
_LONGEST_NAME = 128


@dataclass(kw_only=True)
class Tracking:
    """Weights & Biases settings; metrics.csv is written whatever they are.

    Attributes:
        wandb: ``online`` falls back to ``offline`` when there is no key or no network; ``disabled`` is off.
        project: W&B project.
        entity: W&B team; null is the key owner's default.
        group: What W&B folds runs by; null is the experiment, which the runs of a grid share.
        tags: W&B tags beside seed, model and data set.
        artifacts: Give W&B the best and the last checkpoint and the scores after a test.
        init_timeout_s: How long to wait for the W&B server before going offline.
    """

    wandb: Literal["online", "offline", "disabled"] = "online"
    project: str = "audio-research"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    artifacts: bool = True
    init_timeout_s: float = 15.0

    def loggers(self, run: Run) -> list[Logger]:
        """Returns the loggers of ``run``; nothing touches the network before training starts."""
        loggers: list[Logger] = [MetricsCSV(run.folder)]
        if self.wandb != "disabled":
            loggers.append(PatientWandbLogger(run, self))
        return loggers


class _KeepingWriter(ExperimentWriter):
    """Continues an existing metrics.csv, where Lightning's writer would delete it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                self.metrics_keys = list(next(csv.reader(file), []))

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Adds columns; Lightning's empties the file first, and all rows are lost to a kill."""
        path = Path(self.metrics_file_path)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        write_text_atomically(path, csv_text(fieldnames, rows))


class MetricsCSV(CSVLogger):
    """Writes ``metrics.csv`` into the run's folder and continues it after a restart."""

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder, name="", version="")

    @property
    def experiment(self) -> Any:
        """The writer; made when first used, on rank zero."""
        return self._writer()

    @rank_zero_experiment
    def _writer(self) -> Any:
        if self._experiment is None:
            self._experiment = _KeepingWriter(log_dir=self.log_dir)
        return self._experiment

    def rewind(self, step: int) -> None:
        """Drops the rows from ``step`` on, which a run resumed at that step writes again."""
        path = Path(self.log_dir) / "metrics.csv"
        if not path.is_file():
            return
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            # a line that was cut off when the machine went down is of no step, or has too many fields
            rows = [row for row in reader if None not in row and _step(row) < step]
            fields = list(reader.fieldnames or [])
        write_text_atomically(path, csv_text(fields, rows))


def _step(row: Mapping[str, Any]) -> float:
    try:
        return int(row["step"])
    except (TypeError, ValueError):
        return math.inf


class PatientWandbLogger(WandbLogger):
    """A W&B run that continues under the run's id and goes offline rather than stopping the training.

    W&B's own count of steps follows the trainer's, so that the parts of a run that was cut off fit together.

    Attributes:
        is_lost: Whether W&B's own process has ended, so that nothing can be told any more.
    """

    def __init__(self, run: Run, settings: Tracking) -> None:
        import wandb
        import wandb.apis.public  # wandb.init would, many imports deep: pydantic searches that stack for a second

        self._folders = run
        self._artifacts = settings.artifacts
        self._wandb_step = 0
        self.is_lost = False
        # tables wait for their upload in the run's folder, not in a home that a container forgets
        os.environ.setdefault("WANDB_DATA_DIR", str((run.folder / "wandb").resolve()))
        offline = settings.wandb == "offline" or not _has_key()
        if offline and settings.wandb == "online":
            rank_zero_info(f"W&B: no API key, logging offline; to upload it later: wandb login; {_SYNC}")
        names = {
            "id": f"{run.experiment}-{run.id}",
            "project": settings.project,
            "entity": settings.entity,
            "group": settings.group or run.experiment,
            "tags": settings.tags,
        }
        _refuse_names(**names)
        super().__init__(
            **names,
            name=f"{run.experiment}/{run.id}",
            save_dir=run.folder,
            offline=offline,
            job_type=Path(sys.argv[0]).stem,  # fit, test, validate
            resume="allow",
            settings=wandb.Settings(init_timeout=settings.init_timeout_s),
        )
        self._wandb_init.pop("anonymous", None)  # W&B warns of it, even of the None that Lightning passes

    @property
    def experiment(self) -> Any:
        """The W&B run; made when first used, on rank zero."""
        return self._run()

    @rank_zero_experiment
    def _run(self) -> Any:
        import wandb
        from wandb.errors import CommError, UsageError

        if self.is_lost:
            return _DummyExperiment()
        try:
            return super().experiment
        except (CommError, UsageError) as error:
            rank_zero_info(f"W&B: {str(error).splitlines()[0]}; logging offline; to upload it later: {_SYNC}")
            wandb.teardown()  # its service still holds the run's id
            self._offline = True
            return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs at ``step``, or beside what was logged last where that is further; pictures come without a step."""
        of_step = {} if step is None else {"trainer/global_step": step}

        def log(run: Any) -> None:
            self._wandb_step = max(self._wandb_step, run.starting_step, step or 0)
            run.log({**metrics, **of_step}, step=self._wandb_step)

        self.tell(log)

    @rank_zero_only
    def tell(self, message: Callable[[Any], object]) -> None:
        """Hands the run to ``message``, which tells it something, unless W&B's own process is gone."""
        if self.is_lost:
            return
        try:
            message(self.experiment)
        except ConnectionError as error:
            self.is_lost = True
            rank_zero_warn(
                f"W&B: its process has ended ({error}): nothing more is logged there; metrics.csv has all values"
            )

    @rank_zero_only
    def log_files(self, name: str, scores: Path) -> None:
        """Sends the scores of an evaluation, and after the run's own test the checkpoints, as artifacts of the run.

        Their aliases are ``best`` and ``last`` for checkpoints, and the seed. Nothing is copied where the file system
        has hard links: what waits for its upload offline has a second name in the run's folder, see `_kept`.
        """
        if not self._artifacts or self.is_lost:
            return
        run, prefix = self._folders, f"{self._folders.experiment}-{self._folders.id}"
        seed = f"seed-{self.experiment.config.get('seed_everything')}"
        self._log_artifact(f"{prefix}-{name}-scores", "scores", [scores], ["last", seed])
        if name == "test":
            best, fitted = (
                [*run.best_checkpoints, run.average_checkpoint],
                sorted(run.folder.glob("fitted/*")),
            )
            for alias, paths in (("last", [run.last_checkpoint, *fitted]), ("best", [*best, *fitted])):
                self._log_artifact(f"{prefix}-checkpoint", "model", paths, [alias, seed])

    def _log_artifact(self, name: str, kind: str, paths: Sequence[Path], aliases: list[str]) -> None:
        import wandb

        artifact = wandb.Artifact(artifact_name(name), type=kind)
        for path in paths:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in filter(Path.is_file, files):
                name = str(file.relative_to(path.parent))
                artifact.add_file(str(self._kept(file)), name=name, skip_cache=True, policy="immutable")
        if artifact.manifest.entries:
            self.tell(lambda run: run.log_artifact(artifact, aliases=aliases))

    def _kept(self, file: Path) -> Path:
        """A file that stays as it is for an upload that may come once the run has replaced or removed the first."""
        if not self._offline:
            return file
        state = file.stat()
        kept = self._folders.folder.resolve() / WAITING / f"{state.st_mtime_ns}-{state.st_ino}" / file.name
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, kept)
            except OSError:  # a file system without hard links
                shutil.copy2(file, kept)
        return kept


def wandb_loggers(trainer: Trainer) -> list["PatientWandbLogger"]:
    """The W&B loggers on rank zero; none on other ranks, where W&B is disabled, and where its process is gone."""
    if not trainer.is_global_zero:
        return []
    return [
        logger for logger in trainer.loggers if isinstance(logger, PatientWandbLogger) and not logger.is_lost
    ]


def wandb_runs(trainer: Trainer) -> list[Any]:
    """Their runs."""
    return [logger.experiment for logger in wandb_loggers(trainer)]


def artifact_name(name: str) -> str:
    """Returns a name as W&B takes it: ASCII, and at most 128 characters; a digest tells what was changed apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    if plain == name and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{digest}-{plain[9 - _LONGEST_NAME :]}"


def _refuse_names(**names: Any) -> None:
    """Asks W&B for what it would say of names when the run's folder exists and training begins.

    Raises:
        ValueError: Names the key, and why W&B refuses its value.
    """
    import wandb
    from pydantic import ValidationError
    from wandb.errors import UsageError

    fields = {"id": "run_id", "group": "run_group", "tags": "run_tags"}
    for name, value in names.items():
        try:
            wandb.Settings(**{fields.get(name, name): value})
        except (ValidationError, UsageError) as error:
            cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            key = "run.id" if name == "id" else f"tracking.{name}"
            raise ValueError(f"{key}: refused by W&B: {cause.removeprefix('Value error, ')}") from None


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return netrc.is_file() and "wandb" in netrc.read_text(encoding="utf-8")
