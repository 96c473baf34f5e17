"""Published weights, in the method that a configuration describes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from datamodules.config.shipped import shipped_folder
from lightning_modules.config.parts import Parts, build_parts, read_config
from lightning_modules.event import EventClassifier
from lightning_modules.networks.hugging_face import ast_settings, read_settings
from lightning_modules.networks.weights import load_network
from lightning_modules.run.encoder_weights import without_weights
from lightning_modules.trained.recognition import (
    ACCEPTED,
    Recognised,
    ast_of_hugging_face,
    head_sizes,
    recognise,
)


def published_parts(path: Path, state: Mapping[str, Tensor], configs: Sequence[str | Path]) -> Parts:
    """Builds a method with the weights of a file.

    A classifier has the classes of the file. They are named by the data set, where it is there and has as many, else by
    their numbers.

    Args:
        path: The file, or folder of Hugging Face.
        state: What it holds.
        configs: YAML files, whose ``weights`` it replaces; without, it is the shipped one of the file's network.

    Raises:
        ValueError: The network is unknown, or not one for sound, or a configuration is wrong or of another network.
    """
    found = None if configs else _recognised(path, state)
    config = read_config(*configs) if found is None else _shipped_config(found)
    arguments = config["model"]["init_args"] = without_weights(config["model"]["init_args"])
    sizes, network = head_sizes(state), (arguments.get("network") or {}).get("init_args", {})
    if sizes and "num_classes" in network:
        network["num_classes"] = sum(sizes.values())
    parts = build_parts(config)
    if parts.model.network is None:
        raise ValueError(
            f"{path}: weights of one network, and {type(parts.model).__name__} has several or none"
        )
    load_network(parts.model.network, path)
    if isinstance(parts.model, EventClassifier):
        sizes = sizes or {"class": parts.model.network.num_classes}
        named = found.classes if found is not None and len(found.classes) == sum(sizes.values()) else ()
        parts.model.heads = (
            {next(iter(sizes)): list(named)} if named else _class_names(parts.datamodule, sizes)
        )
    return parts


def _recognised(path: Path, state: Mapping[str, Tensor]) -> Recognised:
    """The published network of a file or folder."""
    try:
        if settings := ast_settings(path):
            return ast_of_hugging_face(settings, read_settings(path, "preprocessor_config.json"))
        found = recognise(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if found is None:
        raise ValueError(f"{path}: weights of an unknown network: {ACCEPTED}; of others, name config=")
    return found


def _shipped_config(found: Recognised) -> dict[str, Any]:
    """The shipped configuration of a published network, of the size that the file has."""
    config = read_config(shipped_folder() / found.config)
    arguments = config["model"]["init_args"]
    arguments["network"]["class_path"] = found.class_path or arguments["network"]["class_path"]
    if found.class_path:
        arguments["network"]["init_args"] = {}
    arguments["network"]["init_args"].update(found.network)
    if found.frontend:
        arguments["frontend"]["init_args"].update(found.frontend)
    return config


def _class_names(data: Any, sizes: Mapping[str, int]) -> dict[str, list[str]]:
    known: Mapping[str, Sequence[str]] = {}
    if data.root.is_dir() or data.root != data.demo_root:  # a demo corpus that is missing would be made
        with suppress(ValueError, OSError):  # without the data set's lists
            known = data.target_names
    if sum(map(len, known.values())) == sum(sizes.values()):
        return {head: list(names) for head, names in known.items()}
    return {head: [str(number) for number in range(size)] for head, size in sizes.items()}
