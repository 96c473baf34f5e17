"""Names of what computes scores; apart from it, so that a command can tell of them before anything is imported."""

from typing import Literal, get_args

Engine = Literal["eager", "onnxruntime", "auto"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
