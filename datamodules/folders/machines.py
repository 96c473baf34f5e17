"""Machines in a list of a user's own: whose anomalies are looked for, and what stands in for them in training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from datamodules.asd.proxy_outliers import FOREIGN, ProxyOutliers, foreign_clips, recording_condition, select
from datamodules.clips import Clip
from datamodules.folders.sound_files import Part

MACHINE = ("normal", "anomaly")
"""Classes of machines."""

_WAY_OUT = (
    "name the machine whose anomalies are looked for with data.instance, recordings from elsewhere with"
    " data.proxy_outliers=folder and data.proxy_root, or take a method that learns from normal sounds alone, as"
    " configs/asd_autoencoder.yaml"
)


class Machines:
    """Chooses clips of machines.

    Args:
        root: What messages name.
        names: ``normal`` or ``anomaly`` by the index of a target.
        instance: Machine, or ``MACHINE/SECTION``, whose anomalies are looked for; None is all.
    """

    def __init__(self, root: Path, names: Sequence[str], instance: str | None) -> None:
        self._root, self._names, self._instance = root, names, instance

    def chosen(
        self,
        found: Mapping[Part, Sequence[Clip]],
        *,
        proxy_outliers: ProxyOutliers | None,
        proxy_root: Path | None,
    ) -> dict[Part, list[Clip]]:
        """Clips of the instance; in training the normal ones, then outliers.

        Args:
            found: Split -> clips of all machines.
            proxy_outliers: What outliers are made of where training has no anomalous clips of the instance.
            proxy_root: Folder of outliers from elsewhere.

        Raises:
            ValueError: If nothing is of the instance, or there are no such outliers.
        """
        if all(not self._is_chosen(clip) for clips in found.values() for clip in clips):
            known = {
                c.attributes[name]
                for clips in found.values()
                for c in clips
                for name in ("machine", "instance")
            }
            raise ValueError(
                f"{self._root}: no machine {self._instance!r}: set data.instance to one of {', '.join(sorted(known))},"
                " or to null for all"
            )
        chosen: dict[Part, list[Clip]] = {
            name: [clip for clip in clips if self._is_chosen(clip)] for name, clips in found.items()
        }
        normal = [clip for clip in chosen["train"] if self._is_normal(clip)]
        outliers = [clip for clip in chosen["train"] if not self._is_normal(clip)]
        if not outliers and proxy_outliers in FOREIGN:
            outliers = self._as_outliers(foreign_clips(proxy_outliers, proxy_root))
        elif not outliers and proxy_outliers is not None:
            others = select(
                proxy_outliers,
                [clip for clip in found["train"] if self._is_normal(clip)],
                targets={clip.attributes["instance"] for clip in normal},
                condition=lambda machine: recording_condition(machine, {}),
                way_out=_WAY_OUT,
            )
            outliers = self._as_outliers(others)
        chosen["train"] = normal + outliers
        return chosen

    def _is_chosen(self, clip: Clip) -> bool:
        of = (clip.attributes["machine"], clip.attributes["instance"])
        return self._instance is None or self._instance in of

    def _is_normal(self, clip: Clip) -> bool:
        assert isinstance(clip.target, int)
        return self._names[clip.target] == "normal"

    def _as_outliers(self, clips: Sequence[Clip]) -> list[Clip]:
        return [replace(clip, target=self._names.index("anomaly")) for clip in clips]
