"""The graph of imports between this project's modules, read from their source.

A name that is imported from the face of a package, its ``__init__``, counts as imported from the module that the face
takes it from. Imports for type checking alone do not count.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("lightning_modules", "datamodules")


@cache
def files() -> dict[str, Path]:
    """Every module by its dotted name; a face is named as its package."""
    paths = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    return {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


def is_face(module: str) -> bool:
    """Whether a module is the ``__init__`` of a package."""
    return files()[module].name == "__init__.py"


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(files()[module].read_text())


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _nodes(node: ast.AST, *, within_functions: bool) -> Iterator[ast.AST]:
    """Nodes below a node, without what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if _is_for_types(child) or (isinstance(child, ast.FunctionDef) and not within_functions):
            continue
        yield child
        yield from _nodes(child, within_functions=within_functions)


@cache
def _home(package: str, name: str) -> str:
    """The module that a face takes a name from."""
    for node in ast.walk(_tree(package)):
        if isinstance(node, ast.ImportFrom) and node.module in files():
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _resolve(node.module, alias.name)
    return package


def _resolve(module: str, name: str) -> str:
    if f"{module}.{name}" in files():
        return f"{module}.{name}"
    return _home(module, name) if is_face(module) else module


def _imported(module: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in files())
    elif isinstance(node, ast.ImportFrom) and node.module in files():
        for alias in node.names:
            home = _resolve(node.module, alias.name)
            if not is_face(home) or home == node.module:
                yield home
                continue
            for use in ast.walk(_tree(module)):  # `from datamodules import audio` and then `audio.read`
                if isinstance(use, ast.Attribute) and ast.unparse(use.value) == (alias.asname or alias.name):
                    yield _resolve(home, use.attr)


@cache
def graph() -> dict[str, frozenset[str]]:
    """Module -> modules that it imports anywhere; faces left out."""
    found = {}
    for module in files():
        if not is_face(module):
            nodes = _nodes(_tree(module), within_functions=True)
            imported = {name for node in nodes for name in _imported(module, node)}
            found[module] = frozenset(name for name in imported - {module} if not is_face(name))
    return found


def longest_chain() -> list[str]:
    """The longest row of modules of which each imports the next.

    Raises:
        ValueError: Modules import each other in a circle; names them.
    """
    longest: dict[str, list[str]] = {}

    def walk(module: str, above: tuple[str, ...]) -> list[str]:
        if module in above:
            raise ValueError(" > ".join([*above[above.index(module) :], module]))
        if module not in longest:
            below = [walk(name, (*above, module)) for name in sorted(graph()[module])]
            longest[module] = [module, *max(below, key=len, default=[])]
        return longest[module]

    return max((walk(module, ()) for module in graph()), key=len)


@cache
def outside(module: str) -> frozenset[str]:
    """Packages of others that the import of a module brings, by what stands outside of functions here."""
    return frozenset(_outside(module, set()))


def _outside(module: str, seen: set[str]) -> set[str]:
    parts = module.split(".")
    found: set[str] = set()
    for name in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
        if name in seen:
            continue
        seen.add(name)
        for node in _nodes(_tree(name), within_functions=False):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                )
                if isinstance(node, ast.ImportFrom) and node.module in files():
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                    names = [each if each in files() else node.module for each in names]
                for each in names:
                    found |= _outside(each, seen) if each in files() else {each.split(".")[0]}
    return found
