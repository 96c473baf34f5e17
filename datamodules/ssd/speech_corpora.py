"""Several public corpora of genuine and spoofed speech at once: trained on some, tested on others."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.files import new_folder, score_rows, write_text_atomically
from datamodules.folders.sound_files import Part
from datamodules.loading.samplers import TrainBatchSampler, TrainSampler
from datamodules.ssd.corpora import CORPORA
from datamodules.ssd.corpora.balance import Balance, chances
from datamodules.ssd.corpora.corpus import CLASSES
from datamodules.ssd.corpora.leakage import describe_leaks
from datamodules.ssd.corpora.located import CorpusAt, Located, chosen, located

DEMO_ROOT = "data/demo/corpora"
_SHOWN = 3  # corpora in a title


def write_corpora(folder: str | Path, *, seed: int = 0) -> None:
    """Write every made corpus in a folder of its own name."""
    with new_folder(folder) as root:
        for name, corpus in CORPORA.items():
            Located(name, corpus, root / name).write_demo(root / name, seed=seed)


class SpeechCorpora(ClipDataModule):
    """Utterances of corpora of spoofed speech, see `datamodules.ssd.corpora.CORPORA`; labels spoof = 0, bonafide = 1.

    Attributes of clips: ``corpus``, as the configuration calls it, and all that the corpora know, such as ``attack``,
    ``speaker``, ``codec`` and ``language``, empty in those that do not. Ids are those of the corpus, and ``NAME/ID`` in
    a split of several.

    Args:
        root: Folder of the corpora that have none of their own. The default is that of made corpora, each written where
            it is missing.
        corpora: Names of corpora, or name -> its folder, None being the one in `root` that is called so. A name of
            one's own is that of a `CorpusAt`. None is all folders in `root` that are called as corpora are.
        train: Names of those to train on, or name -> weight, see `balance`. Without any there is only evaluation.
        validation: Names of those to validate on, by default those of `train` that have a split for it.
        test: Names of those to test on, by default all that have a test split, and those that are not in use.
        balance: What is drawn alike in training: nothing, so that an epoch has each clip once, or with weights each as
            often as these say; the classes; the corpora, by their weights; or these, and the classes within each. What
            is drawn may come twice in an epoch, which is as long as without.
        **settings: Of `ClipDataModule`.

    Raises:
        ValueError: A name is unknown, a corpus has no such split, or one without splits is to serve twice.
    """

    classes = CLASSES
    takes_class_scores = False
    unique_keys = False  # a split of one corpus has the corpus's own, which another corpus may have too
    demo_root = Path(DEMO_ROOT)
    demo_writer = staticmethod(write_corpora)

    def __init__(
        self,
        *,
        root: str = DEMO_ROOT,
        corpora: Sequence[str] | Mapping[str, str | CorpusAt | None] | None = None,
        train: Sequence[str] | Mapping[str, float] = (),
        validation: Sequence[str] | None = None,
        test: Sequence[str] | None = None,
        balance: Balance = "none",
        **settings: Any,
    ) -> None:
        super().__init__(root=root, **settings)
        if corpora is None:
            there = [name for name in CORPORA if (self.root / name).is_dir()]
            corpora = there or (list(CORPORA) if self.root == self.demo_root else [])
        places = corpora if isinstance(corpora, Mapping) else dict.fromkeys(corpora)
        self.corpora: dict[str, Located] = located(places, self.root, demo_root=Path(DEMO_ROOT))
        self.weights = _checked_weights(train)
        self.balance: Balance = balance
        self.train = chosen("train", train, self.corpora)
        if validation is None:
            validation = [name for name in self.train if "validation" in self.corpora[name].corpus.splits]
        self.validation = chosen("validation", validation, self.corpora)
        if test is None:
            used = {*self.train, *self.validation}
            test = [
                name
                for name, each in self.corpora.items()
                if "test" in each.corpus.splits or (not each.corpus.splits and name not in used)
            ]
        self.test = chosen("test", test, self.corpora)
        self._require_splits()
        self._told: set[str] = set()

    @property
    def corpus(self) -> str:
        """Those that are tested, or all."""
        names = self.test or list(self.corpora)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"{', '.join(names[:_SHOWN])}{more}"

    def corpora_of(self, split: Part) -> list[Located]:
        """Corpora of a split, in the order of its clips."""
        names = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return [self.corpora[name] for name in names]

    def prepare_data(self) -> None:
        """Make the made corpora whose place is a folder of `demo_root`, where they are missing."""
        for each in self._absent_demos():
            each.write_demo(each.root)

    def make_small(self, folder: Path) -> None:
        """Make in `folder` what `prepare_data` would, for a dry run that leaves nothing."""
        for each in self._absent_demos():
            self.corpora[each.name] = replace(each, root=folder / each.name)
            each.write_demo(folder / each.name)

    def _absent_demos(self) -> list[Located]:
        return [each for each in self.corpora.values() if each.is_made and not each.root.exists()]

    def setup(self, stage: str | None = None) -> None:
        """As `ClipDataModule`; says which corpora of training and evaluation share speech.

        Raises:
            ValueError: There is no corpus, nothing to train on, or the folder of a corpus is missing.
        """
        if stage != "predict" and not self.corpora:
            raise ValueError(
                f"{self.root}: no folder in it is called as a corpus is: name folders so, as {next(iter(CORPORA))},"
                " or say where corpora lie with data.corpora='{NAME: FOLDER}'"
            )
        if stage == "fit":
            if not self.train:
                raise ValueError(
                    f"data.train: no corpus to train on: name some of data.corpora, {', '.join(self.corpora)}"
                )
            for name in dict.fromkeys((*self.train, *self.validation, *self.test)):
                self.corpora[name].require_root()  # a test that cannot be made is told before the training
        evaluated = [each.corpus for each in (*self.corpora_of("validation"), *self.corpora_of("test"))]
        leaks = describe_leaks([each.corpus for each in self.corpora_of("train")], evaluated)
        if leaks and "leaks" not in self._told:
            rank_zero_warn(f"{type(self).__name__}: {leaks}: figures on these may be too good")
            self._told.add("leaks")
        super().setup(stage)

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Utterances of one corpus after the other.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        corpora = self.corpora_of(name)
        clips = {each.name: each.clips(name) for each in corpora}
        odd = filter(None, (self._difference(each, name, clips[each.name]) for each in corpora))
        if (lines := "; ".join(odd)) and name not in self._told:
            rank_zero_info(f"{type(self).__name__} {name}, other than published: {lines}")
            self._told.add(name)
        if len(clips) == 1:
            return next(iter(clips.values()))
        return [
            Clip(f"{corpus}/{clip.key}", clip.path, clip.target, clip.attributes)
            for corpus, rows in clips.items()
            for clip in rows
        ]

    def _difference(self, each: Located, split: Part, clips: Sequence[Clip]) -> str | None:
        """How a corpus differs from what its authors counted; of a made one nobody asks."""
        published = each.corpus.counts.get(split if each.corpus.splits else "all")
        found = tuple(sum(clip.target == label for clip in clips) for label in (1, 0))
        if published is None or found == published or each.is_made:
            return None
        counts = (f"{here} of {there}" for here, there in zip(found, published, strict=True))
        return f"{each.name} has {' bona fide and '.join(counts)} spoofed utterances"

    def train_sampler(self) -> TrainSampler:
        """Each clip once an epoch, or by weights and `balance`."""
        if all(each.is_made for each in self.corpora_of("train")):
            self.fit_batch_to_demo()
        rows = self.rows["train"]
        weights = chances(rows.attribute("corpus"), rows.targets, balance=self.balance, weights=self.weights)
        return TrainBatchSampler(len(rows), drop_last=self.drop_last, weights=weights, **self.order_settings)

    def asv_scores(self, split: Literal["validation", "test"]) -> Path | None:
        """Speaker verification scores of a split that is one edition of ASVspoof, where they lie beside it."""
        corpora = self.corpora_of(split)
        return corpora[0].corpus.asv_scores(corpora[0].root, split) if len(corpora) == 1 else None

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float],
        decisions: Sequence[int] | None = None,
    ) -> Path:
        """Write lines ``ID SCORE``, without decisions; tabs stand in them where ids have spaces."""
        rows = score_rows(path, keys, scores)
        mark = "\t" if any(set(" \t") & set(key) for key in keys) else " "
        return write_text_atomically(path, "".join(f"{key}{mark}{score}\n" for key, score in rows))

    def _require_splits(self) -> None:
        roles: dict[Part, list[str]] = {"train": self.train, "validation": self.validation, "test": self.test}
        served: dict[str, tuple[str, str]] = {}
        for role, name in ((role, name) for role, names in roles.items() for name in names):
            corpus = self.corpora[name].corpus
            if corpus.splits and role not in corpus.splits:
                raise ValueError(
                    f"data.{role}: {corpus.title} has no {role} split, but {', '.join(corpus.splits)}: name another"
                    " corpus for it"
                )
            before = served.setdefault(corpus.name, (role, name))
            if not corpus.splits and before != (role, name):
                raise ValueError(
                    f"data.{role}: {corpus.title} has no splits and is in data.{before[0]} already: name it in one of"
                    " them"
                )


def _checked_weights(train: Iterable[str] | Mapping[str, float]) -> dict[str, float]:
    """Weights of corpora; empty where none are given."""
    weights = dict(train) if isinstance(train, Mapping) else {}
    for name, weight in weights.items():
        if not 0 < weight < math.inf:
            raise ValueError(f"data.train: weight {weight} of {name} is not positive: give a positive number")
    return weights
