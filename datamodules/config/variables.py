"""Variables of the environment in a configuration: an empty one counts as unset."""

import os
from typing import Any

from omegaconf import OmegaConf

_NONE_GIVEN = object()


def env(key: str, default: Any = _NONE_GIVEN) -> str | None:
    """The value of ``${oc.env:KEY,DEFAULT}``.

    A shell that sets ``ROOT=$FOLDER`` where there is no such folder leaves an empty variable, which would name the
    folder that the command runs in.

    Raises:
        KeyError: The variable is unset or empty, and there is no default.
    """
    if value := os.environ.get(key):
        return value
    if default is _NONE_GIVEN:
        state = "is empty" if key in os.environ else "is not set"
        raise KeyError(f"the environment variable {key} {state}")
    return None if default is None else str(default)


OmegaConf.register_resolver("oc.env", env, replace=True)
