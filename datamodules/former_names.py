"""Where modules have gone: former paths in configurations, checkpoints and packages still lead there."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

# former package > present package: modules, with their present names where these are others
_MOVES = """
datamodules > datamodules.asd: dcase dcase_layouts dcase_scores proxy_outliers
datamodules > datamodules.asd.room: simulated_room room_corpus room_simulation room_acoustics joined_clips
datamodules > datamodules.audio: hdf5 packed pack_cache
datamodules > datamodules.checks: split_report
datamodules > datamodules.clips: clip_table=table coverage recordings
datamodules > datamodules.event: events youtube vggsound kinetics_sounds epic_kitchens epic_annotations
datamodules > datamodules.event: epic_submission
datamodules > datamodules.loading: loader samplers resumable
datamodules > datamodules.pack: pack_writer=writer pack_check=verify
datamodules > datamodules.folders: audio_folder spectrogram_folder near_duplicates source_split
datamodules > datamodules.production.library: one_shots
datamodules > datamodules.production.mapping: mapping_examples example_table
datamodules > datamodules.production.pairs: pairs mixtures effect_pairs effect_layout noisy_pairs noisy_mixtures
datamodules > datamodules.production.pairs: drum_hits delay audio_effects simple_signals
datamodules > datamodules.ssd: asvspoof asvspoof_layouts
lightning_modules > lightning_modules.benchmark: cost cost_counters
lightning_modules.benchmark > lightning_modules.benchmark: ranks=rank_speed
lightning_modules.callbacks > lightning_modules.run: wandb_loggers=tracking
lightning_modules > datamodules.config: arguments config_files=files config_errors=errors
lightning_modules > lightning_modules.commands: workflow dry_run score_asvspoof score_dcase launch
lightning_modules > lightning_modules.config: cli
lightning_modules.callbacks > lightning_modules.figures: figures=detection history spectrograms
lightning_modules > lightning_modules.figures: figure_text=text
lightning_modules > lightning_modules.networks: weights
lightning_modules > lightning_modules.processes: rank_launcher stop_signals allocator
lightning_modules > lightning_modules.run: runs=folder run_folder=lock tracking checkpoints results
lightning_modules.metrics > lightning_modules.metrics: clip_table=class_ranks
lightning_modules.library > lightning_modules.library: pack=spectrograms
lightning_modules.frontends > lightning_modules.frontends: packed=precomputed
lightning_modules.mapper > lightning_modules.networks: models=mapping_models
lightning_modules.production > lightning_modules.production: mapper=mapping
lightning_modules.ssd > lightning_modules.ssd: report=spoofing_report
lightning_modules.asd > lightning_modules.asd: report=machine_report
lightning_modules.event > lightning_modules.event: report=event_report
lightning_modules.asd > lightning_modules.frontends: windows
"""


def _former_paths() -> dict[str, str]:
    found = {}
    for line in _MOVES.split("\n")[1:-1]:
        packages, _, modules = line.partition(": ")
        former, present = packages.split(" > ")
        for name in modules.split():
            found[f"{former}.{name.partition('=')[0]}"] = f"{present}.{name.rpartition('=')[2]}"
    return found


FORMER = _former_paths()
"""Former module -> present one."""

FORMER_OBJECTS = {
    "lightning_modules.frontends.packed.Packed": "lightning_modules.frontends.precomputed.Precomputed",
    "lightning_modules.mapper.NearestNeighbours": "lightning_modules.networks.mapping_models.NearestExamples",
    "lightning_modules.mapper.models.NearestNeighbours": "lightning_modules.networks.mapping_models.NearestExamples",
    "lightning_modules.mapper.Perceptron": "lightning_modules.networks.mapping_models.Perceptron",
    "lightning_modules.launch.devices_and_nodes": "lightning_modules.processes.started.devices_and_nodes",
    "lightning_modules.launch.processes": "lightning_modules.processes.started.processes",
}
"""Former class or function -> present one, where its name or module is another than its module's, or stayed."""


class FormerNames(MetaPathFinder, Loader):
    """Finds modules by their former paths; the last finder that is asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Knows the modules of `FORMER`."""
        return ModuleSpec(fullname, self) if fullname in FORMER else None

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty one, as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Lets it give what the present module has."""
        module.__getattr__ = partial(present, module.__name__)


def present(module: str, name: str) -> Any:
    """What a module, or the face of a package, once had under a name.

    Raises:
        AttributeError: It had nothing of that name.
    """
    path = FORMER_OBJECTS.get(f"{module}.{name}") or f"{FORMER.get(module, '')}.{name}"
    home, _, found = path.rpartition(".")
    if not home:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return resolve_name(f"{home}:{found}")


sys.meta_path.append(FormerNames())
