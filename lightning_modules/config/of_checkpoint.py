"""The configuration that a checkpoint carries, beneath what a command line names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from datamodules.config.parser import config_files, options_of, plain_key
from datamodules.config.shipped import config_path
from lightning_modules.run.checkpoints import carried_config, read_checkpoint
from lightning_modules.run.encoder_weights import as_built

_PARTS = ("model", "data")
# how clips are cut and filled, which a network was trained for, whatever they are of; and how they are loaded
_OF_ANY_DATA = {
    "sample_rate",
    "resampler",
    "mono",
    "channel",
    "padding",
    "train_crop_s",
    "eval_crop_s",
    "num_views",
    "batch_size",
    "eval_batch_size",
    "num_workers",
    "seed",
}


def config_of_checkpoint(path: str, words: Sequence[str], *, continues: bool) -> dict[str, Any] | None:
    """The configuration of a checkpoint that files and overrides of a command line go on top of.

    None where the files stand by themselves: together they name a model and a data module, and what they do not say is
    the default, not what the checkpoint says. Where files or overrides name another class than the checkpoint, the
    arguments of the checkpoint's are left out; of another data set it keeps how clips are cut and loaded.

    Args:
        path: The checkpoint.
        words: The command line.
        continues: Whether training goes on, by the files that it began with; else their weights are the checkpoint's.

    Raises:
        ValueError: The checkpoint is damaged, or carries no configuration and no file names one.
    """
    files = [_content(file) for file in config_files(words)]
    named = dict(_classes(files, words))
    if all(part in dict(_classes(files, ())) for part in _PARTS):
        return None
    checkpoint = read_checkpoint(path)
    carried = carried_config(checkpoint)
    if carried is None and not files:
        raise ValueError(f"{path}: carries no configuration; name it with --config")
    if carried is None:
        return None
    if not continues and (method := carried.get("model")):
        method["init_args"] = as_built(method.get("init_args", {}), checkpoint)
    return {name: _without_replaced(each, name, named) for name, each in carried.items()}


def _content(file: str) -> Mapping[str, Any]:
    """What a file says; of one that is missing or wrong the parser tells."""
    try:
        found = yaml.safe_load(config_path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _classes(files: Sequence[Mapping[str, Any]], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key, without ``init_args``, and class of all that files and words name, the last of a key behind the others."""
    for content in files:
        for part in _PARTS:
            yield from _classes_in(content.get(part), part)
    for option, value in options_of(words):
        yield plain_key(option).removesuffix(".class_path"), value


def _classes_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        if isinstance(value.get("class_path"), str):
            yield key, value["class_path"]
        for name, each in {**value, **(value.get("init_args") or {})}.items():
            if name not in ("class_path", "init_args"):
                yield from _classes_in(each, f"{key}.{name}")


def _without_replaced(value: Any, key: str, named: Mapping[str, str]) -> Any:
    """A value of the checkpoint's configuration, without the arguments of classes that give way to others."""
    if not isinstance(value, dict):
        return value
    if "class_path" not in value:
        return {name: _without_replaced(each, f"{key}.{name}", named) for name, each in value.items()}
    arguments = value.get("init_args", {})
    if _name(named.get(key, value["class_path"])) != _name(value["class_path"]):
        kept = _OF_ANY_DATA if key == "data" else ()
        return {**value, "init_args": {name: each for name, each in arguments.items() if name in kept}}
    inner = {name: _without_replaced(each, f"{key}.{name}", named) for name, each in arguments.items()}
    return {**value, "init_args": inner}


def _name(class_path: str) -> str:
    """Of a class, which may be written with its path, with a former one, or without."""
    return class_path.rpartition(".")[2]


def named_checkpoint(words: Sequence[str]) -> str | None:
    """What ``--ckpt_path`` names on a command line, the last where it comes several times."""
    values = [value for option, value in options_of(words) if option == "ckpt_path"]
    given = [value for value in values if value and value != "null" and not value.startswith("--")]
    return given[-1] if given else None
