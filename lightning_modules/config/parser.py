"""The parser of configurations: of values, types and class paths."""

import sys
from typing import Any, NoReturn, Union, get_args, get_origin

from jsonargparse._typehints import ActionTypeHint
from lightning.pytorch.cli import LightningArgumentParser

from lightning_modules.config.errors import one_line


class Parser(LightningArgumentParser):
    """Reports a wrong configuration in one line and exits with 2."""

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Reads 1 as an int: typing may give another module's Union[float, int] for Union[int, float]."""
        for action in self._actions:
            hint: Any = action._typehint if isinstance(action, ActionTypeHint) else None
            if get_origin(hint) is Union and {int, float} <= {*get_args(hint)}:
                others = [each for each in get_args(hint) if each not in (int, float)]
                action._typehint = type(hint)(Union, (int, float, *others))  # pyright: ignore
        return super().parse_args(*args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints the cause and the nearest valid key; the parser of a part leaves that to the whole one."""
        if not self.exit_on_error:
            super().error(message, ex)
        options = [option for action in self._actions for option in action.option_strings]
        sys.stderr.write(f"error: {one_line(message, options)}\n")
        raise SystemExit(2)
