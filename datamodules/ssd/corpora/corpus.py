"""What a corpus of genuine and spoofed speech is: its layout on disk, its labels, what it is made of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from datamodules.clips import Clip
from datamodules.folders.sound_files import Part
from datamodules.protocol import Faults, ProtocolError

CLASSES = ("spoof", "bonafide")
LABELS: Mapping[str, str] = {
    "bonafide": "bonafide",
    "bona-fide": "bonafide",
    "genuine": "bonafide",
    "real": "bonafide",
    "spoof": "spoof",
    "fake": "spoof",
}
"""Words of lists and folders, in small letters -> class; what numbers mean is each corpus's own."""


class Trial(NamedTuple):
    """One utterance as its corpus has it.

    Attributes:
        place: ``file:line`` of the list that names it, or its file, for messages.
        key: Its id, unique in the corpus: the path below the root, or what the corpus's own lists call it.
        path: The audio file.
        label: Its class in the corpus's own words.
        attributes: Of ``attack``, ``codec``, ``language``, ``speaker`` and the corpus's own columns what is known.
    """

    place: str
    key: str
    path: str
    label: str
    attributes: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A public corpus by its name.

    Attributes:
        name: What configurations call it, such as ``in_the_wild``.
        title: What its authors call it.
        source: Where its layout is published.
        licence: Under which terms its authors give it, in a few words.
        trials: (root, split) -> its utterances, split None being all of a corpus without splits of its own.
        splits: Those that its authors made; a corpus without any is whole in whichever split it is named for.
        counts: Split, or ``all`` -> published numbers of bona fide and spoofed utterances.
        speech_of: Corpora whose recordings it contains, bona fide or spoofed: two that share one are no independent
            training and test.
        labels: Its words, in small letters -> class.
        write_demo: (root, seed) -> a made corpus of a few seconds in the same layout.
        asv_scores: (root, split) -> scores of speaker verification that a t-DCF needs, where it has some.
    """

    name: str
    title: str
    source: str
    licence: str
    trials: Callable[[Path, Part | None], Iterable[Trial]]
    splits: tuple[Part, ...] = ()
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    speech_of: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    write_demo: Callable[[Path, int], None]
    asv_scores: Callable[[Path, Part], Path | None] = lambda _root, _split: None

    def clips(self, root: Path, split: Part, *, called: str | None = None) -> list[Clip]:
        """Utterances of a split; ``attack`` is ``-`` where they are bona fide.

        Args:
            root: Folder of the corpus.
            split: Which; a corpus without splits is whole in any.
            called: Value of the attribute ``corpus``; None is its name.

        Raises:
            ProtocolError: With file, line and the way out: the split is none of the corpus, a label is unknown, an id
                comes twice, nothing is there, or as the reader of its layout.
        """
        if self.splits and split not in self.splits:
            raise ProtocolError(
                f"{root}: {self.title} has no {split} split, but {', '.join(self.splits)}: name another corpus for it"
            )
        faults, clips, known = Faults(), [], {}
        shared: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}  # equal attributes are one object
        for trial in self.trials(root, split if self.splits else None):
            label = self.labels.get(trial.label.lower())
            if label is None:
                words = ", ".join(self.labels)
                faults.add(trial.place, f"label {trial.label!r} is none of {words}", "correct the line")
                continue
            before, was = known.setdefault(trial.key, (trial.place, label))
            if before != trial.place:
                twice = "comes twice, first" if was == label else f"is {label} here, and {was}"
                faults.add(trial.place, f"{trial.key} {twice} in {before}", "remove one of the lines")
                continue
            values = {"corpus": called or self.name, **trial.attributes}
            if label == "bonafide" and "attack" in values:
                values["attack"] = "-"
            attributes = shared.setdefault(tuple(values.items()), values)
            clips.append(Clip(trial.key, trial.path, CLASSES.index(label), attributes))
        faults.refuse()
        if not clips:
            raise ProtocolError(
                f"{root}: no utterance of {self.title}: set its root to the unpacked corpus, see {self.source}"
            )
        return clips
