"""Former paths of modules and classes lead to the present ones, in Python, in configurations and in packages."""

import sys
from importlib import import_module

import pytest

from datamodules.former_names import FORMER, FORMER_OBJECTS
from lightning_modules.package.classes import find


@pytest.mark.parametrize(("former", "present"), FORMER.items())
def test_a_former_module_gives_what_the_present_one_has(former, present):
    here, there = import_module(former), import_module(present)
    names = [name for name, value in vars(there).items() if getattr(value, "__module__", None) == present]
    renamed = {path.rpartition(".")[2] for path in FORMER_OBJECTS.values()}
    assert names or present == "lightning_modules.processes.allocator"
    assert all(getattr(here, name) is vars(there)[name] for name in names if name not in renamed)
    with pytest.raises(AttributeError):
        _ = here.nothing_of_this_name


@pytest.mark.parametrize(("former", "present"), FORMER_OBJECTS.items())
def test_a_former_class_is_the_present_one(former, present):
    (old_home, _, old), (home, _, name) = (path.rpartition(".") for path in (former, present))
    assert getattr(import_module(old_home), old) is getattr(import_module(home), name)


def test_a_package_finds_networks_by_former_paths():
    found = find("lightning_modules.frontends.packed.Packed", "scorer.frontend")
    assert found is find("lightning_modules.frontends.Precomputed", "scorer.frontend")


def test_what_never_was_is_not_found():
    for name in ("datamodules.nowhere", "lightning_modules.nowhere", "lightning_modules.callbacks.nowhere"):
        with pytest.raises(ModuleNotFoundError):
            import_module(name)
        assert name not in sys.modules


def test_a_configuration_names_a_data_set_by_its_former_path(tmp_path, capsys):
    from lightning_modules.config import cli

    (tmp_path / "former.yaml").write_text(
        "model: {class_path: lightning_modules.production.mapper.Mapper, init_args: {network: {class_path: "
        "lightning_modules.mapper.NearestNeighbours}}}\n"
        "data: {class_path: datamodules.mapping_examples.MappingExamples}\n"
    )
    built = cli.build("fit", "", [f"--config={tmp_path}/former.yaml", "--check"])
    assert type(built.model.network).__name__ == "NearestExamples"
    assert type(built.datamodule).__module__ == "datamodules.production.mapping.mapping_examples"
