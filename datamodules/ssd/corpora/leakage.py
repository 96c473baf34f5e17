"""Which corpora are made of the same recordings: a detector that was trained on one knows the other's speech."""

import re
from collections.abc import Iterable

from datamodules.ssd.corpora.corpus import Corpus


def shared_speech(first: Corpus, second: Corpus) -> list[str]:
    """What both corpora are made of, sorted; nothing where they are one, whose authors made the splits.

    A corpus is made of itself too: MLAAD and M-AILABS, whose voices it has, share M-AILABS.
    """
    if first.name == second.name:
        return []
    ours, theirs = _speech(first), _speech(second)
    return sorted(ours[name] for name in ours.keys() & theirs.keys())


def describe_leaks(train: Iterable[Corpus], evaluated: Iterable[Corpus]) -> str:
    """``A shares VCTK with B and C; A shares LJSpeech with D`` of two sides' titles; empty where nothing is shared."""
    others, found = list(evaluated), dict[tuple[str, str], dict[str, None]]()
    for one in train:
        for other in others:
            if speech := shared_speech(one, other):
                found.setdefault((one.title, ", ".join(speech)), {})[other.title] = None
    return "; ".join(
        f"{one} shares {speech} with {' and '.join(with_)}" for (one, speech), with_ in found.items()
    )


def _speech(corpus: Corpus) -> dict[str, str]:
    """Letters and digits of the names of what a corpus is made of -> name: ``M-AILABS`` is ``m_ailabs``."""
    return {re.sub(r"[\W_]", "", name.lower()): name for name in sorted({corpus.name, *corpus.speech_of})}
