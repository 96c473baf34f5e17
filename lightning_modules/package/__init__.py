"""Inference packages: a trained model in a folder that scores sound without Lightning, W&B or a data set."""

import sys

# timm, which networks need, imports wandb wherever that is installed, for loggers that nobody calls.
_hidden = "wandb" not in sys.modules
if _hidden:
    sys.modules["wandb"] = None  # pyright: ignore[reportArgumentType]
try:
    import lightning_modules.networks
finally:
    if _hidden:
        del sys.modules["wandb"]
