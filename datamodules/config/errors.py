"""Turns the configuration parser's nested reports into one line: key, value, nearest valid key or class."""

import difflib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

_HEADERS = (
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value",
    "Problem with given class_path",
    "Expected a path but",
)
_OF_CLASS = re.compile(r"( *(?:- )?)Type typing\.Callable\[.*\] expects a function or a callable class: (.*)")
_KILLED = re.compile(r"DataLoader worker \(pid.*\) (is killed by signal|exited unexpectedly)")
_NO_KEY = re.compile(r"Interpolation key '([^']+)' not found\s+full_key: (\S+)")
_NO_VARIABLE = re.compile(r"the environment variable (\S+ is (?:not set|empty))[^\n]*\s+full_key: (\S+)")
# whose classes the parser finds by their names alone, once imported
_PACKAGES = ("lightning_modules", "datamodules", "lightning.pytorch.callbacks", "torch.optim")


def one_line(message: str, known_options: Iterable[str]) -> str:
    """Returns the cause at the bottom of a nested parser report.

    Args:
        message: What jsonargparse reports, often a tree of "does not validate against any of the Union".
        known_options: Option strings of the parser, for suggestions.
    """
    if unknown := re.search(r"[Uu]nrecognized arguments: (\S+)", message):
        return misplaced(unknown.group(1).split("=")[0], known_options)
    if required := re.match(r"the following arguments are required: (.*)", message):
        if {"model", "data"} & {*required.group(1).split(", ")}:
            return "no configuration: give --config FILE, such as configs/ssd_aasist.yaml"
        return f"--{required.group(1)} is missing"
    if of_help := re.match(r"--([\w.]+\.help): (.*)", message):
        return f"{of_help.group(1)}: {_without_class(of_help.group(2))}"
    if of_group := re.match(r"Group '([^']+)' does not accept option '([^']+)'", message):
        key = ".".join(of_group.groups())
        return f"unknown key {key}{_nearest(key, known_options)}"
    if (
        "Given value: None" in message and "Given value type: <class 'str'>" in message
    ):  # the parser's own str(None)
        key = re.findall(r'Parser key "([^"]+)"', message)[-1]
        return f"{key}: no option can set a part of a part to null; write it into a file of overrides for --config"
    keys, class_path, cause = _deepest_cause(list(_lines(message)))
    name = ".".join(keys)
    refused = re.match(
        r"(?:Option|Key|Group key) ['\"]([^'\"]+)['\"] is not accepted|Option ['\"]?(\S+?)['\"]? is not",
        cause,
    )
    if refused:
        key = refused.group(1) or refused.group(2)
        options = _parameters(class_path) if class_path else [o.lstrip("-") for o in known_options]
        return f"unknown key {'.'.join([*keys, key])}{_nearest(key, options)}"
    cause = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", _without_class(cause))
    return f"{name}: {cause}" if name else cause


def cause(error: Exception) -> str:
    """One line, also where the parser or a loader's worker wrapped the cause of an error in many."""
    text = str(error)
    if _KILLED.search(text):
        way_out = "--data.num_workers=2 or fewer, --data.in_memory=false or smaller batches need less memory"
        if "Bus error" in text:
            way_out = "shared memory is too small: docker run --shm-size=8g, or --data.num_workers=0"
        return f"{text.splitlines()[0].rstrip('. ')}, most often for want of memory: {way_out}"
    if "Does not validate" in text:
        return one_line(text, ())
    if missing := _missing_reference(text):
        return missing
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    if "Original Traceback" in text:  # from a worker: its traceback comes first
        return lines[-1].split("Error: ", 1)[-1]
    return " ".join(lines)


def _missing_reference(message: str) -> str | None:
    """What a ``${...}`` of a configuration asks for in vain, and how to do without; None for any other message."""
    if found := _NO_VARIABLE.search(message):
        variable, key = found.group(1), found.group(2).replace(".init_args", "")
        return f"{key}: the environment variable {variable}: export it, or give --{key}=VALUE"
    if found := _NO_KEY.search(message):
        source, key = (name.replace(".init_args", "") for name in found.groups())
        return f"{key}: takes its value from {source}, which is not there: give --{key}=VALUE, or the data it is for"
    return None


def is_killed_worker(error: BaseException) -> bool:
    """Whether a loader's process was ended from outside, which torch tells as any error of its own."""
    return isinstance(error, RuntimeError) and _KILLED.search(str(error)) is not None


def misplaced(word: str, known_options: Iterable[str]) -> str:
    """What is wrong with a word of the command line that no option knows.

    >>> misplaced("--cfg", ["--config", "--json"])
    'unknown key cfg; did you mean config?'
    >>> misplaced("a.yaml", ["--config", "--json"])
    'a.yaml: did you mean --config a.yaml?'
    """
    options = list(known_options)
    if word.startswith("-"):
        return f"unknown key {word.lstrip('-')}{_nearest(word, options)}"
    if word.endswith((".yaml", ".yml")) and "--config" in options:
        return f"{word}: did you mean --config {word}?"
    return f"{word}: belongs to no option"


def _lines(message: str) -> Iterator[str]:
    """The report's lines, a part that is made later (an optimizer, a schedule) told like any other."""
    path = re.search(r"Got value: Namespace\(.*?class_path='([^']+)'", message)
    for line in message.splitlines():
        later = _OF_CLASS.match(line)
        if later and path:
            indent = len(later.group(1))
            yield f"{later.group(1)}Problem with given class_path '{path.group(1)}':"
            yield f"{' ' * (indent + 1)}{later.group(2)}".split(". Got value: Namespace(")[0]
        else:
            yield line.split(". Got value: Namespace(")[0]


def _deepest_cause(lines: list[str]) -> tuple[list[str], str | None, str]:
    """Returns the keys above the first cause that is not merely "None is allowed too", its class, and itself."""
    ancestors: list[tuple[int, str, str | None]] = []  # (indent, key, class path)
    fallback = ""
    lines = [line for line in lines if line.strip()]
    for number, line in enumerate(lines):
        text, indent = _text(line), _indent(line)
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
            return keys, (paths[-1] if paths else None), _alternatives(text, indent, lines[number + 1 :])
    return [], None, fallback


def _alternatives(cause: str, indent: int, after: list[str]) -> str:
    """The cause with what would be right as well, and the value."""
    expected = re.match(r"Expected a (.*?)(?:\. Got value: (.*))?$", cause)
    if not expected or "dot import" in cause:
        return cause
    wanted, value = [expected.group(1)], expected.group(2)
    for line in after if value is None else []:
        text = _text(line)
        if text.startswith("Given value: "):
            value = text.removeprefix("Given value: ")
            break
        other = text.removeprefix("Expected a ")
        if _indent(line) == indent and other != text and "NoneType" not in text and "dot import" not in text:
            wanted.append(other)
    return _expected(wanted) if value is None else f"{_expected(wanted)}. Got value: {value}"


def _expected(types: list[str]) -> str:
    values = [
        value for each in types if each.startswith("typing.Literal[") for value in each[15:-1].split(", ")
    ]
    if values:
        return f"Expected one of {', '.join(dict.fromkeys(value.strip(chr(39)) for value in values))}"
    return f"Expected a {' or '.join(types)}"


def _without_class(cause: str) -> str:
    """A class that is not there, and the nearest one."""
    if absent := re.match(r"module '([^']+)' has no attribute '([^']+)'", cause):
        module, name = absent.groups()
        return f"{module} has no {name}{_nearest(name, _names(module))}"
    if absent := re.match(r"Expected a dot import path string: (\w+)", cause):
        name = absent.group(1)
        known = {
            each
            for module in list(sys.modules)
            if module.startswith(_PACKAGES)
            for each in _public(sys.modules[module])
        }
        nearest = _nearest(name, known) if difflib.get_close_matches(name, known, n=1) else ""
        return f"no class {name}{nearest or '; write its path, such as torch.optim.Adam'}"
    if other := re.match(r"Import path (?:[\w.]+\.)?(\w+) does not correspond to a subclass of (\w+)", cause):
        name, kind = other.groups()
        fitting = _classes_of(kind)
        return f"{name} is no {kind}" + (f": name one of {', '.join(fitting)}" if fitting else "")
    return cause


def _classes_of(kind: str) -> list[str]:
    """Public classes of the project that are of a kind, of the packages that are imported and of all data sets."""
    faces = [
        name for name in list(sys.modules) if name.startswith("lightning_modules.") and name.count(".") == 1
    ]
    modules = [importlib.import_module("datamodules"), *(sys.modules[name] for name in faces)]
    classes = {name: getattr(module, name, None) for module in modules for name in _public(module)}
    return sorted(
        name
        for name, each in classes.items()
        if inspect.isclass(each)
        and not inspect.isabstract(each)
        and kind in {base.__name__ for base in inspect.getmro(each)[1:]}
    )


def _indent(line: str) -> int:
    return len(line) - len(_text(line))


def _text(line: str) -> str:
    return line.lstrip(" -")


def _names(module: str) -> list[str]:
    """What can be imported from a module."""
    found = importlib.import_module(module)
    parts = pkgutil.iter_modules(found.__spec__.submodule_search_locations or ()) if found.__spec__ else ()
    return [*(_public(found) or dir(found)), *(part.name for part in parts)]


def _public(module: ModuleType) -> Sequence[str]:
    return getattr(module, "__all__", ())


def _parameters(class_path: str) -> list[str]:
    """Arguments of a class, and those that it hands on to its bases."""
    try:
        found = pkgutil.resolve_name(class_path)
        bases = inspect.getmro(found) if inspect.isclass(found) else [found]
        parameters = [each for base in bases for each in inspect.signature(base).parameters.values()]
    except (ImportError, AttributeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return list(dict.fromkeys(each.name for each in parameters if each.kind not in variable))


def _nearest(key: str, options: Iterable[str]) -> str:
    options = list(options)
    close = difflib.get_close_matches(key, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0].lstrip('-')}?"
    return f"; valid keys: {', '.join(options)}" if 0 < len(options) <= 20 else ""
