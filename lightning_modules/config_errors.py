"""Turns the configuration parser's nested reports into one line: key, value, nearest valid key."""

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable

_HEADERS = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Problem with given class_path")


def one_line(message: str, known_options: Iterable[str]) -> str:
    """Returns the cause at the bottom of a nested parser report.

    Args:
        message: What jsonargparse reports, often a tree of "does not validate against any of the Union".
        known_options: Option strings of the parser, for suggestions.
    """
    unknown = re.search(r"[Uu]nrecognized arguments: (\S+)", message)
    if unknown:
        option = unknown.group(1).split("=")[0]
        return f"unknown key {option.lstrip('-')}{_nearest(option, known_options)}"
    if (
        "Given value: None" in message and "Given value type: <class 'str'>" in message
    ):  # the parser's own str(None)
        key = re.findall(r'Parser key "([^"]+)"', message)[-1]
        return f"{key}: no option can set a part of a part to null; write it into a file of overrides for --config"
    keys, class_path, cause = _deepest_cause(message.splitlines())
    name = ".".join(keys)
    refused = re.match(
        r"(?:Option|Key|Group key) ['\"]([^'\"]+)['\"] is not accepted|Option ['\"]?(\S+?)['\"]? is not",
        cause,
    )
    if refused:
        key = refused.group(1) or refused.group(2)
        options = _parameters(class_path) if class_path else [o.lstrip("-") for o in known_options]
        return f"unknown key {'.'.join([*keys, key])}{_nearest(key, options)}"
    cause = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", cause)
    return f"{name}: {cause}" if name else cause


def _deepest_cause(lines: list[str]) -> tuple[list[str], str | None, str]:
    """Returns the keys above the first cause that is not merely "None is allowed too", its class, and itself."""
    ancestors: list[tuple[int, str, str | None]] = []  # (indent, key, class path)
    fallback = ""
    for line in lines:
        text = line.lstrip(" -")
        indent = len(line) - len(text)
        while ancestors and ancestors[-1][0] >= indent:
            ancestors.pop()
        if key := re.match(r'Parser key "([^"]+)":?\s*(.*)', text):
            ancestors.append((indent, key.group(1), None))
            text = key.group(2)
        elif path := re.match(r"Problem with given class_path '([^']+)'", text):
            ancestors.append((indent, "", path.group(1)))
            continue
        if not text or text.startswith(_HEADERS):
            continue
        fallback = fallback or text
        if "NoneType" not in text:
            keys = [key for _, key, _ in ancestors if key]
            paths = [path for _, _, path in ancestors if path]
            return keys, (paths[-1] if paths else None), text
    return [], None, fallback


def _parameters(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    try:
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    except (ImportError, AttributeError, ValueError):
        return []


def _nearest(key: str, options: Iterable[str]) -> str:
    options = list(options)
    close = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0].lstrip('-')}?"
    return f"; valid keys: {', '.join(options)}" if 0 < len(options) <= 20 else ""
