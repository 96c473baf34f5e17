"""Names of what computes scores on a CPU."""

from typing import Literal, get_args

Engine = Literal["eager", "onnxruntime", "auto"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
