"""A configuration's corpora: which ones they are, and where each lies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from zlib import crc32

from datamodules.clips import Clip
from datamodules.files import new_folder
from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora import CORPORA, LISTS
from datamodules.ssd.corpora.corpus import Corpus


@dataclass(frozen=True)
class CorpusAt:
    """A corpus under a name of one's own, such as one of several that have the same kind of list.

    Attributes:
        corpus: Its name, or ``arena`` or ``anti_deepfake``: lists of these kinds, whatever they are of.
        root: Its folder; None is the folder in ``data.root`` that is called as one calls it.
        list: The list in the folder, of a kind of lists; None is the only one that lies there.
    """

    corpus: str
    root: str | None = None
    list: str | None = None


@dataclass(frozen=True)
class Located:
    """A corpus in its folder.

    Attributes:
        name: What the configuration calls it.
        corpus: Its layout.
        root: Its folder.
        is_made: Whether a made one lies there, or will.
    """

    name: str
    corpus: Corpus
    root: Path
    is_made: bool = False

    def clips(self, split: Part) -> list[Clip]:
        """Utterances of a split, as `Corpus.clips`.

        Raises:
            ProtocolError: Also if the folder is missing.
        """
        self.require_root()
        return self.corpus.clips(self.root, split, called=self.name)

    def require_root(self) -> None:
        """Refuse a folder that is not there.

        Raises:
            ProtocolError: With the corpus and its source.
        """
        if not self.root.is_dir():
            raise ProtocolError(
                f"{self.root}: no such folder, where {self.corpus.title} was expected: set data.corpora.{self.name} to"
                f" the folder that it is unpacked in, see {self.corpus.source}"
            )

    def write_demo(self, folder: Path, *, seed: int = 0) -> None:
        """Write the made corpus as a folder that appears when it is complete; no two corpora say the same."""
        with new_folder(folder) as root:
            self.corpus.write_demo(root, crc32(self.name.encode()) + seed)


def located(
    corpora: Mapping[str, str | CorpusAt | None], root: Path, *, demo_root: Path
) -> dict[str, Located]:
    """Corpora of a configuration, by what it calls them.

    Args:
        corpora: Name -> folder, or None for the folder in `root` that is called so; see `CorpusAt`.
        root: Folder of those that have none.
        demo_root: Folder of made ones, each called as the configuration does.

    Raises:
        ValueError: A corpus is unknown, or its name is no plain one.
    """
    found = (_located(name, place, root) for name, place in corpora.items())
    return {each.name: replace(each, is_made=each.root == demo_root / each.name) for each in found}


def _located(name: str, place: str | CorpusAt | None, root: Path) -> Located:
    at = place if isinstance(place, CorpusAt) else CorpusAt(name, place)
    if "/" in name or not name.strip():
        raise ValueError(
            f"data.corpora: {name!r} is no plain name: leave out slashes, which keys have behind it"
        )
    if at.corpus in LISTS:
        corpus = LISTS[at.corpus](name, at.list)
    elif at.corpus in CORPORA:
        corpus = CORPORA[at.corpus]
        if at.list is not None:
            raise ValueError(
                f"data.corpora.{name}: {at.corpus} has lists of its own: leave out list: {at.list}"
            )
    else:
        raise ValueError(
            f"data.corpora: no corpus is called {at.corpus}{_near(at.corpus, [*CORPORA, *LISTS])}: name one of"
            f" {', '.join(CORPORA)}, or give a list of your own as NAME: {{corpus: {' or '.join(LISTS)}, root: FOLDER}}"
        )
    return Located(name, corpus, root / name if at.root is None else Path(at.root).expanduser())


def chosen(option: str, names: Iterable[str], corpora: Mapping[str, Located]) -> list[str]:
    """Names of an option, all of which have to be those of corpora.

    Raises:
        ValueError: With the option and the nearest name.
    """
    for name in names:
        if name not in corpora:
            raise ValueError(
                f"data.{option}: {name} is none of data.corpora{_near(name, corpora)}: name one of"
                f" {', '.join(corpora) or 'them, of which there are none'}"
            )
    return list(dict.fromkeys(names))


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" ({near[0]}?)" if near else ""
