"""Remarks of libraries that a user of this platform can do nothing about."""

import logging
import warnings

_REMARKS = (
    "litlogger",
    "`weights_only` was not set",
    "TPU available",
    "to estimate number of stepping batches",
    "already configured with model summary callbacks",  # ours
)


_WARNINGS = (  # patterns
    "LeafSpec",
    "does not have many workers",
    "`srun` command is available",  # `launch` knows when it is missing
    "could not find the monitored key",  # epochs without validation
    "predict returned None",
    r"module\(s\) in eval mode at the start of training",  # what of an encoder does not train is meant to be
    "custom batch sampler",  # ours repeats batches, `index` tells
    "across ranks is zero",  # a data set without validation split
    "overridden `on_before_batch_transfer`",  # the module's is meant
    "smaller than the logging interval",
    "recommended to use `self.log.*sync_dist=True",  # all ranks know all
)


def quieten() -> None:
    """Drops them; what a user can act on is still told."""
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.pytorch.trainer.connectors.checkpoint_connector",
    ):
        logging.getLogger(name).addFilter(
            lambda record: not any(text in record.getMessage() for text in _REMARKS)
        )
    for text in _WARNINGS:
        warnings.filterwarnings("ignore", message=f".*{text}")
