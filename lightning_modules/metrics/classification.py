"""Classification figures of a scored split; fractions in [0, 1]."""

from torch import Tensor
from torchmetrics.functional.classification import multiclass_average_precision


def ranks(probabilities: Tensor, target: Tensor) -> Tensor:
    """Rank of the true class by its probability, 1 = top.

    Classes that tie with the true one count against it, so that constant scores are no success; so does NaN.

    Args:
        probabilities: (clip, class), or any scores that grow with them.
        target: int64 (clip,), -1 where unknown.

    Returns:
        int64 (clip,), 1 to the number of classes; 0 where the target is unknown.

    Example:
        >>> import torch
        >>> ranks(torch.tensor([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]]), torch.tensor([2, 0])).tolist()
        [2, 2]
    """
    true = probabilities.gather(1, target.clamp(min=0).unsqueeze(1))
    return (~(probabilities < true)).sum(dim=1).masked_fill(target < 0, 0)


def classification_metrics(probabilities: Tensor, target: Tensor) -> dict[str, float]:
    """Figures of one head over the clips whose class is known.

    Args:
        probabilities: float (clip, class) in [0, 1].
        target: int64 (clip,), -1 where unknown.

    Returns:
        ``top1``: accuracy; ``top5``: share of clips whose class is among the best 5, or all where classes are fewer;
        ``class_accuracy``: mean over the classes that occur of their clips' accuracy; ``map``: mean over the same
        classes of the average precision of one against the rest. All NaN without a known class.
    """
    known = target >= 0
    probabilities, target = probabilities[known], target[known]
    if not len(target):
        return dict.fromkeys(("top1", "top5", "class_accuracy", "map"), float("nan"))
    rank = ranks(probabilities, target)
    num_classes = probabilities.shape[1]
    support = target.bincount(minlength=num_classes)
    correct = target[rank == 1].bincount(minlength=num_classes)
    occurs = support > 0
    # Means of probabilities may exceed 1 by rounding, which torchmetrics takes for logits.
    precision = multiclass_average_precision(
        probabilities.clamp(0, 1), target, num_classes, average="none", validate_args=False
    )
    return {
        "top1": (rank == 1).double().mean().item(),
        "top5": (rank <= 5).double().mean().item(),
        "class_accuracy": (correct[occurs].double() / support[occurs]).mean().item(),
        "map": precision[occurs].double().mean().item(),
    }
