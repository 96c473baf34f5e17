"""The parser of every configuration: YAML files and overrides, classes by name, one line for what is wrong."""

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from inspect import isabstract
from itertools import zip_longest
from typing import Any, ClassVar, NoReturn, Union, get_args, get_origin

from jsonargparse._typehints import ActionTypeHint
from lightning.pytorch.cli import LightningArgumentParser
from omegaconf.errors import OmegaConfBaseException

import datamodules
import datamodules.config.variables  # how configurations read the environment
from datamodules.config.errors import cause, one_line
from datamodules.config.files import ConfigFileError, check_file, misread
from datamodules.config.shipped import with_config_paths


class Parser(LightningArgumentParser):
    """Reports a wrong configuration or command line in one line and exits with 2.

    Attributes:
        also_known: Options that the command has taken out of the command line before, to name the nearest.
    """

    settings: ClassVar[dict[str, Any]] = {
        "parser_mode": "omegaconf+",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    """How it is made."""

    faces: ClassVar[tuple[str, ...]] = ()
    """Packages whose classes need no path; imported where a class is named without one."""

    also_known: Sequence[str] = ()

    def parse_args(self, args: Sequence[str] | None = None, *more: Any, **kwargs: Any) -> Any:
        """Parses a command line, after a look at the files as such."""
        try:
            words = files_first(with_config_paths(sys.argv[1:] if args is None else args))
            values = {value for path in config_files(words) for value in check_file(path)}
        except (ConfigFileError, FileNotFoundError) as error:
            self.refuse(str(error))
        options = list(options_of(words))
        self._import_named(values | {value for _, value in options})
        for option, value in options:
            if option.endswith(".help") and (not value or value.startswith("-")):
                self._list_classes(option.removesuffix(".help"))
            if value.startswith(("[", "{")):
                self._refuse_misread(option, value)
        self._read_whole_numbers()
        try:
            config = super().parse_args(words, *more, **kwargs)
        except OmegaConfBaseException as error:  # such as a variable of the environment that is not set
            self.refuse(cause(error))
        for key, value in config.items():
            if value == "" and key.startswith("data."):  # of a path the folder that the command runs in
                self.refuse(f"{plain_key(key)} is empty: give it a value, or leave it out for its default")
        read = {(plain_key(key), value) for key, value in config.items() if isinstance(value, int | float)}
        for option, value in options:  # what stayed text, such as a time, is right
            self._refuse_misread(option, value, {number for key, number in read if key == plain_key(option)})
        return config

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints the cause and the nearest valid key; the parser of a part leaves that to the whole one."""
        if not self.exit_on_error:
            super().error(message, ex)
        options = [option for action in self._actions for option in action.option_strings]
        self.refuse(one_line(message, [*options, *self.also_known]))

    def refuse(self, line: str) -> NoReturn:
        """Prints what is wrong and exits, or raises that as `ConfigFileError` where it does not exit on errors."""
        if not self.exit_on_error:
            raise ConfigFileError(line)
        self.exit(2, f"error: {line}\n")

    def _import_named(self, values: set[str]) -> None:
        bare = {value for value in values if re.fullmatch(r"[A-Z]\w*", value)}
        for name in bare & {*datamodules.__all__}:
            getattr(datamodules, name)
        for face in self.faces if bare - {*datamodules.__all__} else ():
            import_module(face)

    def _list_classes(self, key: str) -> None:
        """Prints what can stand behind ``--<key>.help``, where that is a class, and ends."""
        for action in self._actions:
            hint: Any = (
                action._typehint if isinstance(action, ActionTypeHint) and action.dest == key else None
            )
            bases = tuple(each for each in (hint, *get_args(hint)) if isinstance(each, type))
            if hint is not None and bases:
                faces = [import_module(face) for face in (datamodules.__name__, *self.faces)]
                found = {name: getattr(face, name) for face in faces for name in face.__all__}
                names = [
                    name
                    for name, each in found.items()
                    if isinstance(each, type) and issubclass(each, bases) and not isabstract(each)
                ]
                print(f"--{key}.help CLASS, one of {', '.join(sorted(names))}, or the path of another")
                self.exit()

    def _read_whole_numbers(self) -> None:
        """Lets 1 be an int: typing may give another module's Union[float, int] for Union[int, float]."""
        for action in self._actions:
            hint: Any = action._typehint if isinstance(action, ActionTypeHint) else None
            if get_origin(hint) is Union and {int, float} <= {*get_args(hint)}:
                others = [each for each in get_args(hint) if each not in (int, float)]
                action._typehint = type(hint)(Union, (int, float, *others))  # pyright: ignore

    def _refuse_misread(self, option: str, value: str, read: Collection[float] | None = None) -> None:
        """Refuses numbers of the command line that YAML takes for others, all or those that were read."""
        for number, fault in misread(value):
            if read is None or number in read:
                self.refuse(f"{option}: {fault}")


def config_files(words: Sequence[str]) -> list[str]:
    """The files that ``--config`` and ``-c`` name on a command line, in their order."""
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    files.add_argument("--config", "-c", action="append", default=[])
    try:
        return files.parse_known_args(list(words))[0].config
    except argparse.ArgumentError:  # without a file, as the parser proper will say
        return []


def files_first(words: Sequence[str]) -> list[str]:
    """A command line with its ``--config FILE`` before all else: overrides go on top of them, wherever they stand.

    >>> files_first(["--data.root=a", "--config", "b.yaml", "-c=c.yaml", "--check"])
    ['--config', 'b.yaml', '-c=c.yaml', '--data.root=a', '--check']
    """
    files: list[str] = []
    others: list[str] = []
    for word in words:
        awaited = files[-1:] in (["--config"], ["-c"]) and not word.startswith("-")
        is_file = awaited or word.partition("=")[0] in ("--config", "-c")
        (files if is_file else others).append(word)
    return files + others


def options_of(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each option of a command line."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, equals, value = word.partition("=")
        if option.startswith("--"):
            yield option.removeprefix("--"), value if equals else following


def plain_key(key: str) -> str:
    """A key without ``init_args``, as users write it."""
    return key.replace(".init_args", "")
