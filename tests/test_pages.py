"""The messages that TROUBLESHOOTING.md quotes are those of the code; CITATION.cff and CHANGELOG.md have the version."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "TROUBLESHOOTING.md").read_text()
OTHERS = ("(PyTorch)", "(Linux)", "(Python)", "(Linux, PyTorch)")
CELLS = [row.split(" | ")[0] for row in re.findall(r"^\| (`.*) \|$", PAGE, re.MULTILINE)]
MESSAGES = [
    quoted for cell in CELLS if not cell.endswith(OTHERS) for quoted in re.findall(r"`([^`]+)`", cell)
]


@pytest.fixture(scope="module")
def texts():
    """All strings of the code; of those with values in between, the parts."""
    files = [
        path
        for package in ("lightning_modules", "datamodules")
        for path in (REPOSITORY / package).rglob("*.py")
    ]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_one_of_ours(message, texts):
    for part in message.split("…"):
        assert any(part in text for text in texts), part


def test_the_page_has_messages_and_names_files_that_exist():
    assert len(MESSAGES) > 25
    named = re.findall(r"configs/[\w/]+\.yaml", PAGE) + re.findall(r"\]\(([^)#]+)", PAGE)
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_citation_and_changelog_are_of_this_version():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == version
    newest = re.search(r"^## (\d\S*) - (\S+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest.groups() == (version, str(citation["date-released"]))
    for paper in citation["references"]:
        assert paper["title"]
        assert paper["authors"]
        assert paper["year"] <= citation["date-released"].year
