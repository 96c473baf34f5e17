"""The worked examples of CONTRIBUTING.md: sections, their files, their commands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
SECTIONS = {
    found["title"]: found["text"]
    for found in re.finditer(
        r"^### (?P<title>.*?)\n(?P<text>.*?)(?=^##)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
}
NETWORK = "Synthetic speech: a network and a data set"
OBJECTIVE = "Synthetic speech: an objective and a metric"
METHOD = "Anomalous sounds: a Lightning module with a loss of its own"
EVENTS = "Events: a data set, a front end and a network"
PAIRS = "Production: a data set of pairs, a network and an objective"

_BLOCK = re.compile(r"^```(?:python|yaml) (?P<name>[\w.]+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^```sh\npython -m lightning_modules\.fit (.*)\n```", re.MULTILINE)


def files(title: str) -> dict[str, str]:
    """Name -> text of the files of a section."""
    return {found["name"]: found["text"] for found in _BLOCK.finditer(SECTIONS[title])}


def arguments(title: str) -> list[str]:
    """Those of ``fit`` in the command of a section."""
    (found,) = _COMMAND.findall(SECTIONS[title])
    return found.split()
