"""Command lines without a configuration: options, and one line for what is wrong with them."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from datamodules.config.errors import misplaced


class CommandParser(argparse.ArgumentParser):
    """Parser of ``python -m PROG``: keeps the lines of its help, tells in one line what is wrong and exits with 2.

    Args:
        prog: Module of the command.
        description: Stands before the options.
        epilog: Stands after them: examples and exit codes.
    """

    def __init__(
        self, prog: str, *, description: str | None, epilog: str = "", add_help: bool = True
    ) -> None:
        super().__init__(
            prog=f"python -m {prog}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    @property
    def known(self) -> list[str]:
        """Its options, as they are written."""
        return list(self._option_string_actions)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Names a wrong option before it names those that are missing."""
        words = list(sys.argv[1:] if args is None else args)
        options = self.known
        for word in _options_of(words):
            if word not in options:
                self.error(misplaced(word, options))
        found, rest = self.parse_known_args(words, namespace)
        if rest:
            self.error(misplaced(rest[0], options))
        return found

    def error(self, message: str) -> NoReturn:
        """Prints the message and how to see the options."""
        self.exit(2, f"error: {message}; {self.prog} --help shows what can be given\n")


def _options_of(words: Sequence[str]) -> Iterator[str]:
    """The options among the words of a command line, without their values; none after ``--``."""
    own = words[: words.index("--")] if "--" in words else words
    return (word.split("=")[0] for word in own if word.startswith("--"))


def at_least_one(text: str) -> int:
    """Type of an option that counts.

    Raises:
        argparse.ArgumentTypeError: For anything but a whole number from 1 on; the parser names the option.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return number
