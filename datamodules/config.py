"""Build a data module from the configuration of an experiment, without the part that learns."""

import importlib
from collections.abc import Sequence

from omegaconf import OmegaConf

from datamodules.base import ClipDataModule


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
            f"{configs[-1]}: no data.class_path: name a data module, e.g. datamodules.asvspoof.ASVspoof"
        )
    section = OmegaConf.to_container(section, resolve=True)
    assert isinstance(section, dict)
    module, _, name = str(section["class_path"]).rpartition(".")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(
            f"{configs[-1]}: data.class_path {section['class_path']!r} cannot be imported"
        ) from None
    return factory(**(section.get("init_args") or {}))
