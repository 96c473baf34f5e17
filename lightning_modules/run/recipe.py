"""What made a checkpoint, as far as other seeds of the same share it: rows of a table of results."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning_modules.run.evaluations import named_parts

# what other seeds, and the same training on another machine, may have otherwise
_OF_DATA = {
    "seed",
    "predict",
    "num_workers",
    "eval_batch_size",
    "in_memory",
    "allow_truncated",
    "corpora",
    "condition",
}
_OF_TRAINER = ("max_epochs", "max_steps", "precision", "gradient_clip_val", "accumulate_grad_batches")


class Recipe(NamedTuple):
    """How something was trained.

    Attributes:
        trained_on: Names of the corpora, or class and edition of the data.
        resources: ``open`` with a pretrained encoder, which ASVspoof 5 has its open condition for, or ``closed``.
        digest: Of all settings but seeds, folders and the machine.
    """

    trained_on: str
    resources: str
    digest: str


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """Reads the configuration that a checkpoint carries."""
    data, model = config.get("data") or {}, config.get("model") or {}
    arguments = data.get("init_args") or {}
    trainer = config.get("trainer") or {}
    kept = {
        "model": model,
        "data": {
            "class_path": data.get("class_path"),
            **{
                name: each
                for name, each in arguments.items()
                if name not in _OF_DATA and not name.endswith("root")
            },
        },
        "trainer": {name: trainer.get(name) for name in _OF_TRAINER},
        "checkpoints": config.get("checkpoints"),
    }
    text = json.dumps(kept, sort_keys=True, default=str)
    is_open = any(".encoders." in path for path in _classes(model))
    return Recipe(
        _trained_on(data), "open" if is_open else "closed", hashlib.sha256(text.encode()).hexdigest()[:8]
    )


def _trained_on(data: Mapping[str, Any]) -> str:
    arguments = data.get("init_args") or {}
    corpora = arguments.get("train")
    if isinstance(corpora, list | dict) and corpora:
        return "+".join(map(str, corpora))
    class_name, *names = named_parts(data, ("edition", "year", "machine", "id"))
    if not names and (root := arguments.get("root")):
        names = [Path(root).name]
    return "-".join([class_name, *names])


def _classes(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("class_path"), str):
            yield value["class_path"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _classes(each)
