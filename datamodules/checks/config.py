"""Build a data module from the configuration of an experiment, without the part that learns."""

import argparse
from collections.abc import Sequence
from pkgutil import resolve_name

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from datamodules.base import ClipDataModule


def parse_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> tuple[argparse.Namespace, ClipDataModule]:
    """Parse a command line that has ``--config`` and ``--data.KEY=VALUE`` beside the options of `parser`.

    Returns:
        The options, and the data module. A faulty command line or configuration ends the process with 2.
    """
    parser.add_argument("--config", action="append", required=True, help="YAML of an experiment; repeatable")
    options, rest = parser.parse_known_args(arguments)
    overrides: list[str] = []
    for word in rest:  # both --data.key=value and --data.key value
        if word.startswith("--data."):
            overrides.append(word)
        elif overrides and "=" not in overrides[-1]:
            overrides[-1] += f"={word}"
        else:
            parser.error(f"unknown argument {word}: only --data.KEY=VALUE overrides")
    try:
        return options, data_module(options.config, overrides)
    except (ValueError, OSError, TypeError, OmegaConfBaseException, YAMLError) as error:
        parser.error(str(error))


def data_module(configs: Sequence[str], overrides: Sequence[str] = ()) -> ClipDataModule:
    """Build the data module that the ``data:`` section of an experiment describes.

    Args:
        configs: YAML files, later ones on top.
        overrides: ``data.root=...`` or ``data.init_args.root=...``.

    Raises:
        ValueError: If there is no such section, or it names no data module.
    """
    config = OmegaConf.merge(*(OmegaConf.load(path) for path in configs))
    for override in overrides:
        key, _, value = override.removeprefix("--").partition("=")
        if key.startswith("data.") and key.split(".")[1] not in {"class_path", "init_args"}:
            key = key.replace("data.", "data.init_args.", 1)
        config = OmegaConf.merge(config, OmegaConf.from_dotlist([f"{key}={value}"]))
    section = OmegaConf.select(config, "data")
    if section is None or "class_path" not in section:
        raise ValueError(
            f"{configs[-1]}: no data.class_path: name a data module, e.g. datamodules.ssd.asvspoof.ASVspoof"
        )
    section = OmegaConf.to_container(section, resolve=True)
    assert isinstance(section, dict)
    try:
        factory = resolve_name(str(section["class_path"]))
    except (ImportError, AttributeError, ValueError):
        raise ValueError(
            f"{configs[-1]}: data.class_path {section['class_path']!r} cannot be imported"
        ) from None
    return factory(**(section.get("init_args") or {}))
