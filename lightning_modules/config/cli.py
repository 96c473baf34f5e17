"""The one file that knows how a configuration becomes a model, data, a trainer and a run's folder."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse.typing import PositiveInt
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelSummary, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from omegaconf.errors import OmegaConfBaseException

from datamodules.config.errors import cause, is_killed_worker
from datamodules.config.files import ConfigFileError, as_yaml
from datamodules.config.parser import Parser
from datamodules.files import write_text_atomically
from lightning_modules.base import EvaluatedModule
from lightning_modules.callbacks.continuation import Continuation
from lightning_modules.callbacks.log_interval import AT_MOST, LogInterval
from lightning_modules.callbacks.module_setup import ModuleSetup
from lightning_modules.callbacks.monitors import Monitors
from lightning_modules.callbacks.parts_summary import PartsSummary
from lightning_modules.callbacks.progress import progress
from lightning_modules.callbacks.ranks import Ranks
from lightning_modules.callbacks.standard import Checkpoints, standard_callbacks
from lightning_modules.config.agreement import refuse_other_data, refuse_wrong_optimizer
from lightning_modules.config.inherited import inherited
from lightning_modules.config.of_checkpoint import config_of_checkpoint, named_checkpoint
from lightning_modules.config.parser import PlatformParser
from lightning_modules.config.parts import in_one_line
from lightning_modules.config.remarks import quieten
from lightning_modules.config.sweep import without_record
from lightning_modules.package.engine_names import Engine
from lightning_modules.processes.allocator import keep_freed_memory
from lightning_modules.processes.rank_launcher import watch_ranks
from lightning_modules.processes.started import devices_and_nodes, processes
from lightning_modules.run.checkpoints import AtomicCheckpointIO
from lightning_modules.run.evaluations import Evaluations
from lightning_modules.run.folder import Run, stable_id
from lightning_modules.run.provenance import changed_lines
from lightning_modules.run.tracking import Tracking

# what a run may change without becoming another run
_OF_A_COMMAND = ("config", "ckpt_path", "check", "output", "top", "windows", "strict", "engine", "instance")
_NOT_IDENTITY = ("run", "ranks", "tracking", *_OF_A_COMMAND)
_TRAINER_DEFAULTS = {
    "logger": False,  # set from `tracking`
    "num_sanity_val_steps": 0,  # `--check` tries validation without the wait for an epoch
    "use_distributed_sampler": False,  # the data modules deal clips to ranks themselves
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
        self,
        args: Sequence[str],
        *,
        command: str,
        description: str,
        also_known: Sequence[str] = (),
        carried: Mapping[str, Any] | None = None,
        exits: bool = True,
    ) -> None:
        self.command, self._also_known, self._carried = command, also_known, carried
        super().__init__(
            args=list(args),
            run=False,
            save_config_callback=None,
            parser_class=PlatformParser,
            parser_kwargs=Parser.settings
            | {
                "prog": f"python -m lightning_modules.{command}",
                "description": description,
                "exit_on_error": exits,
            },
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
        refuse_other_data(self.model, self.datamodule)
        if command == "fit":
            refuse_wrong_optimizer(self.model, self.config.model.get("init_args", {}))

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the given arguments, whatever the process was started with."""
        assert isinstance(parser, Parser)
        parser.also_known = self._also_known
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:  # of a parser that does not exit
            raise in_one_line(error, parser) from None
        for line in inherited(args, self.config.as_dict()):
            rank_zero_info(line)

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
                "--output",
                type=str | None,
                default=None,
                help="File of the scores, with a table of all files beside it; null prints them.",
            )
            parser.add_argument(
                "--top",
                type=PositiveInt | None,  # pyright: ignore[reportOperatorIssue]
                default=None,
                help="Classes to name; null is the best one.",
            )
            parser.add_argument(
                "--engine",
                type=Engine,
                default="auto",
                help="What computes on a CPU; auto takes onnxruntime where it was measured to be faster.",
            )
            parser.add_argument(
                "--instance",
                type=str | None,
                default=None,
                help="Machine instance whose threshold decides; null decides where there is a single one.",
            )
            parser.add_argument("--windows", action="store_true", help="A row a window, with its times.")
            parser.add_argument(
                "--strict", action="store_true", help="Fail where a file could not be scored."
            )
        parser.add_argument(
            "--check", action="store_true", help="Do all that a run does on a few clips; leave nothing."
        )

    def before_instantiate_classes(self) -> None:
        """Names the run before anything is built.

        Raises:
            ValueError: No data module is named.
        """
        if self.config.data is None:
            raise ValueError("data: no data module; name one, as configs/ssd_aasist.yaml does")
        if self.config.run.id is None:
            identity = self.resolved(without=_NOT_IDENTITY)
            trainer = identity["trainer"]
            if trainer["log_every_n_steps"] is None:
                trainer["log_every_n_steps"] = (
                    AT_MOST  # as earlier versions had it, whose runs keep their ids
                )
            self.config.run.id = stable_id(identity)
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
    def evaluations(self) -> Evaluations:
        """Tells which evaluations are of the run's own data."""
        return Evaluations(self.run_folder, yaml.safe_load(self.dump()), self._carried)

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
            for key, value in _one_batch(config).items():
                config[key] = value
        else:
            config.devices, config.num_nodes = devices_and_nodes(config.devices, config.num_nodes)
            started = processes()
            if started and started.launcher == "srun":  # requeueing is the batch script's, after exit code 75
                plugins = [*plugins, SLURMEnvironment(auto_requeue=False)]
        config.default_root_dir = config.default_root_dir or str(self.run_folder.folder)
        standard = standard_callbacks(
            self.run_folder,
            self.checkpoints,
            self.config_init.ranks,
            self.dump(),
            self.ckpt_path,
            self.evaluations,
        )
        callbacks = [Monitors(self.checkpoints.monitor), *callbacks]
        if config.enable_progress_bar is not False and not any(
            isinstance(each, ProgressBar) for each in callbacks
        ):
            standard.append(progress())
        if config.log_every_n_steps is None:
            standard.append(LogInterval())
        if config.enable_model_summary is not False and not any(
            isinstance(each, ModelSummary) for each in callbacks
        ):
            standard.append(PartsSummary())
        trainer = Trainer(
            **config.as_dict(),
            **kwargs,
            plugins=[*plugins, AtomicCheckpointIO()],
            callbacks=[Continuation(self.dump()), *callbacks, *standard],
            logger=self._loggers(),
        )
        watch_ranks(trainer)
        return trainer

    def _loggers(self) -> list[Logger] | Literal[False]:
        """None for what leaves no result of a run, as a prediction."""
        if self.command == "predict":
            return False
        tracking = self.config_init.tracking
        if self.config_init.check:
            tracking = replace(tracking, wandb="disabled")
        return tracking.loggers(self.run_folder)

    @cached_property
    def _yaml(self) -> str:  # takes half a second
        return as_yaml(self.resolved(without=_OF_A_COMMAND))

    def dump(self) -> str:
        """The resolved configuration as YAML: what config.yaml and every checkpoint carry."""
        return self._yaml

    def save_config(self) -> None:
        """Writes config.yaml into the run's folder; names the keys that changed since an earlier start."""
        path = self.run_folder.folder / "config.yaml"
        before = path.read_text(encoding="utf-8") if path.is_file() else self.dump()
        if lines := changed_lines(before, self.dump()):
            rank_zero_warn(f"{path}: this run continues with another configuration: {'; '.join(lines)}")
        write_text_atomically(path, self.dump())

    def keep_config(self) -> None:
        """Writes config.yaml where nothing says yet what the folder's own results are of."""
        if not self.evaluations.knows_own:
            write_text_atomically(self.run_folder.folder / "config.yaml", self.dump())


def _one_batch(settings: Any) -> dict[str, Any]:
    """What replaces a trainer's settings to step once, on one device, and score one batch; none stays none."""
    limits = ("limit_train_batches", "limit_val_batches", "limit_test_batches")
    by_epoch = settings.check_val_every_n_epoch is not None
    return {
        **{key: 0 if settings[key] == 0 else 1 for key in limits},
        "accelerator": "cpu" if settings.accelerator == "cpu" else "auto",  # what this machine has
        "devices": 1,
        "num_nodes": 1,
        "strategy": "auto",
        "fast_dev_run": False,
        "max_epochs": 1,
        "min_epochs": None,
        "max_steps": -1,
        "min_steps": None,
        "max_time": None,
        "overfit_batches": 0.0,
        "val_check_interval": None if by_epoch else 1,
        "check_val_every_n_epoch": 1 if by_epoch else None,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "sync_batchnorm": False,
        "profiler": None,
        "default_root_dir": None,
    }


def build(
    command: str,
    description: str,
    args: Sequence[str] | None = None,
    *,
    also_known: Sequence[str] = (),
    exits: bool = True,
) -> Platform:
    """Parses ``args`` (the command line by default) and builds all parts.

    Files and overrides go on top of the configuration inside the checkpoint that ``--ckpt_path`` names, see
    `config_of_checkpoint`.

    Args:
        command: Name of the command.
        description: Of the command, for its help.
        args: Words of the command line.
        also_known: Options that the command took out of them before.
        exits: End the process with 2 where the command line is wrong; else that is a `ConfigFileError`.
    """
    quieten()
    keep_freed_memory()
    arguments = without_record(sys.argv[1:] if args is None else args)
    with tempfile.TemporaryDirectory() as folder:
        carried = None
        if (named := named_checkpoint(arguments)) and not {"--help", "-h"} & {*arguments}:
            carried = config_of_checkpoint(named, arguments, continues=command == "fit")
        if carried is not None:
            (Path(folder) / "config.yaml").write_text(as_yaml(carried), encoding="utf-8")
            arguments = ["--config", f"{folder}/config.yaml", *arguments]
        return Platform(
            arguments,
            command=command,
            description=description,
            also_known=also_known,
            carried=carried,
            exits=exits,
        )


def one_line_errors(command: Callable[[], None]) -> None:
    """Runs a command; a user's error is one line and exit code 1 or 2, set TRACEBACK=1 to see where it came from."""
    try:
        command()
    except (ValueError, OSError, RuntimeError, MisconfigurationException, OmegaConfBaseException) as error:
        if os.environ.get("TRACEBACK") or (isinstance(error, RuntimeError) and not is_killed_worker(error)):
            raise
        sys.stderr.write(f"error: {cause(error)}\n")
        raise SystemExit(2 if isinstance(error, ConfigFileError) else 1) from None
