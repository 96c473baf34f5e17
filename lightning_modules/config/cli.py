"""The one file that knows how a configuration becomes a model, data, a trainer and a run's folder."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning_utilities.core.rank_zero import rank_zero_warn
from omegaconf.errors import OmegaConfBaseException

from datamodules.config.errors import cause
from datamodules.config.files import ConfigFileError, as_yaml
from datamodules.config.parser import Parser, config_files
from datamodules.files import write_text_atomically
from lightning_modules.base import EvaluatedModule
from lightning_modules.callbacks.module_setup import ModuleSetup
from lightning_modules.callbacks.progress import LoggedProgressBar
from lightning_modules.callbacks.ranks import Ranks
from lightning_modules.callbacks.standard import Checkpoints, standard_callbacks
from lightning_modules.config.parser import PlatformParser
from lightning_modules.config.remarks import quieten
from lightning_modules.config.sweep import without_record
from lightning_modules.processes.allocator import keep_freed_memory
from lightning_modules.processes.rank_launcher import watch_ranks
from lightning_modules.processes.started import devices_and_nodes, processes
from lightning_modules.run.checkpoints import AtomicCheckpointIO, read_checkpoint
from lightning_modules.run.folder import Run, stable_id
from lightning_modules.run.provenance import changed_lines
from lightning_modules.run.tracking import Tracking

# what a run may change without becoming another run
_NOT_IDENTITY = ("config", "run", "ranks", "tracking", "ckpt_path", "check", "output")
_TRAINER_DEFAULTS = {
    "logger": False,  # set from `tracking`
    "num_sanity_val_steps": 0,  # `--check` tries validation without the wait for an epoch
    "use_distributed_sampler": False,  # the data modules deal clips to ranks themselves
    "log_every_n_steps": 50,
}


class Platform(LightningCLI):
    """Builds model, data module and, when it is asked for, trainer from YAML files and overrides; runs nothing.

    Attributes:
        run_folder: Where this run writes.
        checkpoints: Which checkpoints it keeps.
        ckpt_path: The checkpoint the user named, if any.
    """

    config: Any
    config_init: Any

    def __init__(
        self, args: Sequence[str], *, command: str, description: str, also_known: Sequence[str] = ()
    ) -> None:
        self.command, self._also_known = command, also_known
        super().__init__(
            args=list(args),
            run=False,
            save_config_callback=None,
            parser_class=PlatformParser,
            parser_kwargs=Parser.settings
            | {"prog": f"python -m lightning_modules.{command}", "description": description},
            trainer_defaults=_TRAINER_DEFAULTS,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
        if not isinstance(self.model, EvaluatedModule):
            raise ValueError(
                f"model: {type(self.model).__name__} is no lightning_modules.base.EvaluatedModule, which commands ask"
                " for scores and a report"
            )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the given arguments, whatever the process was started with."""
        assert isinstance(parser, Parser)
        parser.also_known = self._also_known
        self.config = parser.parse_args(args)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds what the trainer, the model and the data do not know: the run, its checkpoints and its tracking."""
        parser.add_class_arguments(Run, "run")
        parser.add_class_arguments(Checkpoints, "checkpoints")
        parser.add_class_arguments(Ranks, "ranks")
        parser.add_class_arguments(Tracking, "tracking")
        parser.add_argument(
            "--ckpt_path", type=str | None, default=None, help="Checkpoint to continue from or score with."
        )
        if self.command == "predict":
            parser.add_argument(
                "--output", type=str | None, default=None, help="File of the scores; null prints them."
            )
        parser.add_argument(
            "--check", action="store_true", help="Run one small batch through everything; write nothing."
        )

    def before_instantiate_classes(self) -> None:
        """Names the run before anything is built.

        Raises:
            ValueError: No data module is named.
        """
        if self.config.data is None:
            raise ValueError("data: no data module; name one, as configs/ssd_aasist.yaml does")
        if self.config.run.id is None:
            self.config.run.id = stable_id(self.resolved(without=_NOT_IDENTITY))
        model = self.config.model.get("init_args", {})
        if self.command != "fit" and self.config.ckpt_path is not None and "weights" in model:
            model.weights = None  # the checkpoint replaces them, and their file may be on another machine

    def resolved(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """The configuration as plain values, every default and interpolation filled in."""
        dump = self.parser.dump(self.config, skip_none=False, format="yaml")
        return {key: value for key, value in yaml.safe_load(dump).items() if key not in without}

    def instantiate_classes(self) -> None:
        """Builds all but the trainer, which commands that run no loop do without."""
        self.config_init = self.parser.instantiate_classes(self.config)
        self.model, self.datamodule = self.config_init.model, self.config_init.data
        self.run_folder: Run = self.config_init.run
        self.checkpoints: Checkpoints = self.config_init.checkpoints
        self.ckpt_path: str | None = self.config_init.ckpt_path

    @cached_property
    def trainer(self) -> Trainer:
        """Built when it is first asked for."""
        return self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Adds loggers, standard callbacks and the atomic checkpoint writer to what the config asks for."""
        config = self.config_init.trainer
        plugins = config.pop("plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        callbacks = [ModuleSetup(), *(config.pop("callbacks") or [])]
        config.pop("logger")
        if self.config_init.check:
            return _trainer_of_one_batch(precision=config.precision, callbacks=callbacks, plugins=plugins)
        config.devices, config.num_nodes = devices_and_nodes(config.devices, config.num_nodes)
        started = processes()
        if started and started.launcher == "srun":  # requeueing is the batch script's, after exit code 75
            plugins = [*plugins, SLURMEnvironment(auto_requeue=False)]
        config.default_root_dir = config.default_root_dir or str(self.run_folder.folder)
        standard = standard_callbacks(
            self.run_folder, self.checkpoints, self.config_init.ranks, self.dump(), self.ckpt_path
        )
        if config.enable_progress_bar is not False and not any(
            isinstance(each, ProgressBar) for each in callbacks
        ):
            standard.append(LoggedProgressBar())
        trainer = Trainer(
            **config.as_dict(),
            **kwargs,
            plugins=[*plugins, AtomicCheckpointIO()],
            callbacks=[*callbacks, *standard],
            logger=self.config_init.tracking.loggers(self.run_folder),
        )
        watch_ranks(trainer)
        return trainer

    @cached_property
    def _yaml(self) -> str:  # takes half a second
        return as_yaml(self.resolved(without=("config", "check", "ckpt_path", "output")))

    def dump(self) -> str:
        """The resolved configuration as YAML: what config.yaml and every checkpoint carry."""
        return self._yaml

    def save_config(self) -> None:
        """Writes config.yaml into the run's folder; names the keys that changed since an earlier start."""
        path = self.run_folder.folder / "config.yaml"
        before = path.read_text(encoding="utf-8") if path.is_file() else self.dump()
        if lines := changed_lines(before, self.dump()):
            rank_zero_warn(f"{path}: this run continues with another configuration: {'; '.join(lines[:6])}")
        write_text_atomically(path, self.dump())


def _trainer_of_one_batch(**settings: Any) -> Trainer:
    """A trainer on one device that runs one batch of each loop and writes nothing."""
    return Trainer(
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=1,
        limit_test_batches=1,
        **settings,
    )


def build(
    command: str, description: str, args: Sequence[str] | None = None, *, also_known: Sequence[str] = ()
) -> Platform:
    """Parses ``args`` (the command line by default) and builds all parts.

    Without ``--config``, the configuration inside the checkpoint named by ``--ckpt_path`` is used.

    Args:
        command: Name of the command.
        description: Of the command, for its help.
        args: Words of the command line.
        also_known: Options that the command took out of them before.
    """
    quieten()
    keep_freed_memory()
    arguments = without_record(sys.argv[1:] if args is None else args)
    with tempfile.TemporaryDirectory() as folder:
        if not config_files(arguments) and not {"--help", "-h"} & {*arguments}:
            arguments = _config_of_checkpoint(arguments, Path(folder)) + arguments
        return Platform(arguments, command=command, description=description, also_known=also_known)


def _config_of_checkpoint(arguments: Sequence[str], folder: Path) -> list[str]:
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    named.add_argument("--ckpt_path", nargs="?")
    path = named.parse_known_args(list(arguments))[0].ckpt_path
    if path is None:
        return []
    config = read_checkpoint(path).get("config")
    if config is None:
        raise ValueError(f"{path}: carries no configuration; name it with --config")
    (folder / "config.yaml").write_text(as_yaml(yaml.safe_load(config)))
    return ["--config", str(folder / "config.yaml")]


def one_line_errors(command: Callable[[], None]) -> None:
    """Runs a command; a user's error is one line and exit code 1 or 2, set TRACEBACK=1 to see where it came from."""
    try:
        command()
    except (ValueError, OSError, MisconfigurationException, OmegaConfBaseException) as error:
        if os.environ.get("TRACEBACK"):
            raise
        sys.stderr.write(f"error: {cause(error)}\n")
        raise SystemExit(2 if isinstance(error, ConfigFileError) else 1) from None
