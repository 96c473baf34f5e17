"""The house: imports go down its floors, which CONTRIBUTING shows, and the faces of packages stay light."""

import re

import pytest
from import_graph import PACKAGES, REPOSITORY, files, graph, is_face, longest_chain, outside

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()
LONGEST = 10
MOST_FILES = 26
HEAVY = {"av", "matplotlib", "pyroomacoustics", "sklearn", "timm", "wandb"}
WITH_TORCH = {
    "audio",
    "clips",
    "corpora",
    "degradation",
    "hearing",
    "loading",
    "frontends",
    "networks",
    "encoders",
    "back_ends",
    "objectives",
    "functional",
    "scorers",
}
WITH_LIGHTNING = {
    "ssd",
    "asd",
    "backends",
    "event",
    "production",
    "pairs",
}  # of these, tasks of lightning_modules and pairs


def floors(package: str) -> dict[str, int]:
    """Room or module of a package's hall -> its floor, 0 on top, from the page's table."""
    table = re.search(rf"```floors of {package}\n(.*?)```", PAGE, re.DOTALL)
    assert table, f"CONTRIBUTING.md has no table of the floors of {package}"
    return {
        room: floor
        for floor, line in enumerate(table[1].splitlines())
        for room in re.findall(r"[\w/]+", line)
    }


def room_of(module: str) -> str:
    """``typed`` for commands, else the room or the module of the hall."""
    package, room, *rest = module.split(".")
    is_command = rest[-1:] == ["__main__"] or (not rest and room not in floors(package))
    return "typed" if is_command else room


def allowed(kind: str) -> set[tuple[str, str]]:
    """Pairs ``a > b`` of a list of the page."""
    found = re.search(rf"{kind}: (.*?)\.\n", PAGE, re.DOTALL)
    assert found, f"CONTRIBUTING.md does not list: {kind}"
    return {(a, b) for a, b in re.findall(r"`([\w/]+) > ([\w/]+)`", found[1])}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_down(package):
    floor, sideways = floors(package), allowed("Sideways")
    rooms = {room_of(module) for module in graph() if module.startswith(f"{package}.")}
    assert rooms <= floor.keys(), "add the room to the table of CONTRIBUTING.md"
    wrong = [
        f"{module} > {name}"
        for module, imported in graph().items()
        for name in imported
        if module.startswith(f"{package}.")
        and name.startswith(f"{package}.")
        and (here := room_of(module)) != (there := room_of(name))
        and floor[here] >= floor[there]
        and (here, there) not in sideways
    ]
    assert wrong == []


def test_data_modules_know_nothing_of_what_learns():
    assert [
        name
        for name, imported in graph().items()
        for other in imported
        if name.startswith("datamodules.") and other.startswith("lightning_modules.")
    ] == []


def test_what_learns_uses_some_rooms_of_data_modules():
    for_all = {b for a, b in allowed("Of `datamodules`") if a == "all"}
    of_one = allowed("Of `datamodules`")
    wrong = [
        f"{module} > {name}"
        for module, imported in graph().items()
        for name in imported
        if module.startswith("lightning_modules.")
        and name.startswith("datamodules.")
        and not {"/".join(name.split(".")[1:end]) for end in (2, 3)} & for_all
        and not {(room_of(module), "/".join(name.split(".")[1:end])) for end in (2, 3)} & of_one
    ]
    assert wrong == []


def test_no_circle_and_no_long_chain():
    chain = longest_chain()
    print(len(chain), " > ".join(chain))
    assert len(chain) <= LONGEST


@pytest.mark.parametrize("package", PACKAGES)
def test_halls_hold_commands_and_what_the_table_names(package):
    modules = [module for module in graph() if module.startswith(f"{package}.") and module.count(".") == 1]
    assert len(modules) < MOST_FILES
    for module in modules:
        if room_of(module) == "typed":
            assert 'if __name__ == "__main__":' in files()[module].read_text(), f"{module} is no command"


@pytest.mark.parametrize("face", sorted(filter(is_face, files())))
def test_faces_are_light(face):
    found, room = outside(face), face.rpartition(".")[2]
    assert found & HEAVY == set()
    if room not in WITH_LIGHTNING:
        assert "lightning" not in found
        if room not in WITH_TORCH:
            assert "torch" not in found


def test_files_of_tests_have_names_of_their_own():
    """pytest imports them by these alone: of two that are equal it refuses the second, in whole runs only."""
    names = [path.name for path in (REPOSITORY / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
