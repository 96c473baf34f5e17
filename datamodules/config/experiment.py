"""The data of an experiment's configuration, for commands that need nothing else of it."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

from lightning.pytorch import LightningDataModule

from datamodules.config.errors import cause
from datamodules.config.parser import Parser

SECTIONS = (
    "model",
    "trainer",
    "run",
    "checkpoints",
    "ranks",
    "tracking",
    "seed_everything",
    "ckpt_path",
    "check",
)
"""What else stands in the configuration of an experiment."""


class _DataParser(Parser):
    """Names the command that looks at other data, where a configuration has such."""

    def refuse(self, cause: str) -> NoReturn:
        """As `Parser`."""
        if re.match(r"data: \w+ is no \w+", cause):
            cause += "; python -m lightning_modules.fit --config FILE --check tries any other data"
        super().refuse(cause)


def data_parser(prog: str, kind: type[LightningDataModule], *, description: str) -> Parser:
    """Parser of ``python -m PROG --config FILE --data.KEY=VALUE``, to which a command adds options of its own.

    Args:
        prog: Module of the command.
        kind: What the data module must be.
        description: Stands before the options, examples included.
    """
    parser = _DataParser(prog=f"python -m {prog}", description=description, **Parser.settings)
    parser.add_argument("-c", "--config", action="config", help="YAML of an experiment; repeatable")
    parser.add_lightning_class_args(kind, "data", subclass_mode=True)
    for name in SECTIONS:
        parser.add_argument(f"--{name}", type=Any, help="Of the experiment; not looked at.")
    return parser


def parse_data(parser: Parser, arguments: Sequence[str] | None) -> tuple[Any, Any]:
    """Parses a command line and builds the data module.

    Returns:
        The options, and the data module. What is wrong with either ends the process with 2.
    """
    options = parser.parse_args(arguments)
    try:
        built: Any = parser.instantiate_classes(options)
    except (ValueError, OSError) as error:
        parser.refuse(cause(error))
    return options, built.data
