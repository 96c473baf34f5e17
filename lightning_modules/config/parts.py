"""The model and the data module of a configuration, without what trains them: no trainer, no run, no tracking."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, Trainer

from datamodules.config.errors import one_line
from datamodules.config.files import ConfigFileError
from datamodules.config.parser import Parser
from lightning_modules.base import EvaluatedModule
from lightning_modules.config.parser import PlatformParser

_OF_A_RUN = ("run", "checkpoints", "ranks", "tracking")  # sections that change neither model nor data


class Parts(NamedTuple):
    """What a configuration describes.

    Attributes:
        model: The method, with weights as it begins with.
        datamodule: Of which nothing has been read.
        config: The configuration as plain values; that of both with every default filled in.
    """

    model: EvaluatedModule
    datamodule: Any
    config: Mapping[str, Any]


def read_config(*paths: str | Path) -> dict[str, Any]:
    """Reads YAML files, later ones on top; returns plain values, every default and interpolation filled in.

    Raises:
        ConfigFileError: A file is missing or faulty, a section is missing, or a key or value is wrong.
    """
    parser = _parser()
    parser.add_argument("--config", action="config")
    parser.add_lightning_class_args(Trainer, "trainer")
    for section in _OF_A_RUN:
        parser.add_argument(f"--{section}", type=dict | None, default=None)
    try:
        found = parser.parse_args([f"--config={path}" for path in paths])
    except argparse.ArgumentError as error:
        raise in_one_line(error, parser) from None
    return _plain(parser, found)


def build_parts(config: Mapping[str, Any]) -> Parts:
    """Builds what the sections ``model`` and ``data`` describe.

    Random weights are those of ``seed_everything``; the caller's random numbers stay as they are.

    Args:
        config: Plain values, of `read_config` or of a checkpoint; other sections are not looked at.

    Raises:
        ConfigFileError: A section is missing, or a key or value is wrong.
    """
    parser = _parser()
    known = ("seed_everything", "model", "data")
    try:
        found = parser.parse_object({name: config[name] for name in known if name in config})
    except argparse.ArgumentError as error:
        raise in_one_line(error, parser) from None
    with torch.random.fork_rng(devices=[]):
        if not isinstance(seed := found.seed_everything, bool):
            torch.default_generator.manual_seed(seed)  # that of the CPU alone, which draws all weights
        built = parser.instantiate(found)
    return Parts(built.model, built.data, {**config, **_plain(parser, found)})


def _parser() -> PlatformParser:
    parser = PlatformParser(exit_on_error=False, **PlatformParser.settings)
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_lightning_class_args(EvaluatedModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    return parser


def _plain(parser: PlatformParser, config: Namespace) -> dict[str, Any]:
    return yaml.safe_load(parser.dump(config, skip_unset=False, format="yaml"))


def in_one_line(error: argparse.ArgumentError, parser: Parser) -> ConfigFileError:
    """What a parser that does not exit found wrong."""
    options = [option for action in parser._actions for option in action.option_strings]
    return ConfigFileError(one_line(str(error), options))
