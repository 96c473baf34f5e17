"""The command line of a sweep's run that W&B's agent starts a second time."""

import os
from collections.abc import Sequence

_RECORD = ("commit", "data_hash", "packages")  # what `callbacks.provenance` adds to the configuration in W&B
_RULE = "convolution_rule"  # and of networks that have one
_OF_WANDB = "_wandb"


def without_record(arguments: Sequence[str]) -> list[str]:
    """Leaves out what a requeued run gets beyond the sweep's parameters.

    The agent gives a first start the sweep's parameters, and a run that was preempted all that stands in its
    configuration in W&B: whole sections in Python's spelling, and the record. The sweep's own command and parameters
    stand beside them and are the same as before.
    """
    words = list(arguments)
    recorded = {word.partition("=")[0].removeprefix("--") for word in words}
    if "WANDB_SWEEP_ID" not in os.environ or not recorded.issuperset(_RECORD):
        return words
    return [word for word in words if not _is_recorded(word)]


def _is_recorded(word: str) -> bool:
    name, _, value = word.removeprefix("--").partition("=")
    return word.startswith("--") and (
        name in (*_RECORD, _RULE, _OF_WANDB) or ("." not in name and value.startswith("{"))
    )
