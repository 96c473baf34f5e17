"""Evaluation of EPIC-KITCHENS-100 action recognition as the official evaluator does it.

Source: https://github.com/epic-kitchens/C1-Action-Recognition; Damen et al., Rescaling Egocentric Vision, IJCV 2022.
An action is a pair of a verb and a noun.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.clips import Clip
from lightning_modules.metrics.classification import ranks

NUM_VERBS, NUM_NOUNS = 97, 300
_CHUNK = 16  # clips whose actions are compared at once: 4 MB stay in the cache, 6 times as fast as 60 MB


def epic_report_rows(clips: Sequence[Clip], probabilities: Tensor) -> list[dict[str, str | int | float]]:
    """Evaluates a split of EPIC-KITCHENS-100; the score of an action is the product of its two probabilities.

    Args:
        clips: Rows of `datamodules.EPICKitchens` with labels; attributes that they lack leave their subset out.
        probabilities: (clip, 397), of verbs, then of nouns.

    Returns:
        Rows of `epic_evaluation`.
    """
    verb_scores, noun_scores = log_probabilities(probabilities).split([NUM_VERBS, NUM_NOUNS], dim=1)
    targets = torch.tensor([clip.target for clip in clips], device=probabilities.device)

    def flags(name: str) -> Tensor:
        return torch.tensor([clip.attributes.get(name) == "1" for clip in clips], device=targets.device)

    return epic_evaluation(
        verb_scores,
        noun_scores,
        targets,
        tail=torch.stack([flags("tail_verb"), flags("tail_noun")], dim=1),
        unseen=flags("unseen"),
    )


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Scores whose softmax, which the official evaluator takes, gives the probabilities back; float64, finite."""
    return probabilities.double().clamp(min=torch.finfo(torch.float32).tiny).log()


def epic_evaluation(
    verb_scores: Tensor, noun_scores: Tensor, targets: Tensor, *, tail: Tensor, unseen: Tensor
) -> list[dict[str, str | int | float]]:
    """Accuracies in percent over all clips, those of tail classes and those of unseen participants.

    Verbs count as tail by their own class, nouns by theirs, actions where either is one. ``both top-5`` is what
    AudioSlowFast calls action top-5: verb and noun each among their best 5, more than the official figure.

    Args:
        verb_scores: (clip, verb) logits.
        noun_scores: (clip, noun) logits.
        targets: int64 (clip, 2), verb and noun class.
        tail: bool (clip, 2), whether these are tail classes.
        unseen: bool (clip,), whether the participant is in no training clip.

    Returns:
        A row for each subset that has clips, with ``clips`` (by action) and ``verb top-1 %`` and the like; NaN where
        no clip counts.

    Raises:
        ValueError: A clip has no label, or no clip is given.
    """
    if not len(targets) or bool((targets < 0).any()):
        raise ValueError(
            f"EPIC-KITCHENS: {int((targets < 0).any(dim=1).sum())} of {len(targets)} clips have no label: the official"
            " test split is scored by the challenge's server, evaluate on test_split: validation"
        )
    found = epic_ranks(verb_scores, noun_scores, targets)
    is_tail = torch.cat([tail, tail.any(dim=1, keepdim=True)], dim=1)
    subsets = {"all": torch.ones_like(is_tail), "tail": is_tail, "unseen": unseen[:, None].expand_as(is_tail)}
    return [_row(name, found, members) for name, members in subsets.items() if members.any()]


def epic_ranks(verb_scores: Tensor, noun_scores: Tensor, targets: Tensor) -> Tensor:
    """Ranks of the true verb, noun and action, 1 = top; ties count against the true class.

    An action's score is the softmax of the verbs times that of the nouns. Their logarithms add, and what a softmax
    subtracts is the same for all actions of a clip: actions rank by the sum of their two scores. The official
    evaluator takes both softmaxes over the best 100 classes alone, which changes no rank up to 100.

    Args:
        verb_scores: (clip, verb) logits.
        noun_scores: (clip, noun) logits.
        targets: int64 (clip, 2), verb and noun class.

    Returns:
        int64 (clip, 3).
    """
    verb_scores, noun_scores = verb_scores.double(), noun_scores.double()
    verb, noun = targets.unbind(dim=1)
    action = torch.cat(
        [
            ranks((verbs[:, :, None] + nouns[:, None, :]).flatten(1), v * nouns.shape[1] + n)
            for verbs, nouns, v, n in zip(
                *(each.split(_CHUNK) for each in (verb_scores, noun_scores, verb, noun)), strict=True
            )
        ]
    )
    return torch.stack([ranks(verb_scores, verb), ranks(noun_scores, noun), action], dim=1)


def _row(subset: str, found: Tensor, members: Tensor) -> dict[str, str | int | float]:
    """Row of a subset: ranks and memberships (clip, 3) of verb, noun and action."""
    row: dict[str, str | int | float] = {"subset": subset, "clips": int(members[:, 2].sum())}
    for column, task in enumerate(("verb", "noun", "action")):
        kept = found[members[:, column], column]
        row |= {f"{task} top-{k} %": _percent(kept <= k) for k in (1, 5)}
    row["both top-5 %"] = _percent((found[members[:, 2], :2] <= 5).all(dim=1))
    return row


def _percent(correct: Tensor) -> float:
    return 100 * correct.double().mean().item() if len(correct) else math.nan
