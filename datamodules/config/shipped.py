"""Configurations that come with the project, for whoever works in a folder without them."""

import difflib
from collections.abc import Sequence
from pathlib import Path

_PROJECT = Path(__file__).parents[2]
_CONFIGS = "configs"
_OPTIONS = ("--config", "-c")


def shipped_folder() -> Path:
    """The folder ``configs``: of the clone, or the one that an installed package carries."""
    carried = _PROJECT / "lightning_modules" / _CONFIGS
    return carried if carried.is_dir() else _PROJECT / _CONFIGS


def config_path(path: str | Path) -> Path:
    """The file that a command names: the user's own, or else for ``configs/...`` the one that the project ships.

    Raises:
        FileNotFoundError: There is neither; names the shipped one that is nearest in name.
    """
    own = Path(path).expanduser()
    if own.exists() and not own.is_dir():
        return own
    folder = shipped_folder()
    if own.parts[:1] == (_CONFIGS,) and (found := folder.joinpath(*own.parts[1:])).is_file():
        return found
    shipped = sorted(folder.rglob("*.yaml"))
    names = difflib.get_close_matches(own.stem, [file.stem for file in shipped], n=1)
    nearest = [f"{_CONFIGS}/{file.relative_to(folder).as_posix()}" for file in shipped if file.stem in names]
    way_out = f"did you mean {' or '.join(nearest)}?" if nearest else f"those of the project are in {folder}"
    raise FileNotFoundError(f"{path}: no such file; {way_out}")


def with_config_paths(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command, with `config_path` for what stands behind ``--config`` and ``-c``.

    Raises:
        FileNotFoundError: As `config_path`.
    """
    found: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if found and found[-1] in _OPTIONS:
            found.append(str(config_path(argument)))
        elif equals and option in _OPTIONS:
            found.append(f"{option}={config_path(value)}")
        else:
            found.append(argument)
    return found
