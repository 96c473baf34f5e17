"""How thresholds were found, as a reader of results meets it: a line, columns of results.csv, a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lightning_utilities.core.rank_zero import rank_zero_warn

from datamodules.clips import Clip
from lightning_modules.asd.thresholds import Threshold, passed_interval
from lightning_modules.run.rows import Report, Row


def tell_of(found: Mapping[str, Threshold]) -> None:
    """Says in one line which thresholds are not what was asked for."""
    remarks = {instance: threshold.remark for instance, threshold in found.items() if threshold.remark}
    if not remarks:
        return
    instance, remark = next(iter(remarks.items()))
    more = len(remarks) - 1
    others = f"; {more} more have a remark, see tables/*_thresholds.csv" if more else ""
    rank_zero_warn(f"threshold of {instance}: {remark}{others}")


def with_thresholds(report: Report, clips: Sequence[Clip], found: Mapping[str, Threshold]) -> Report:
    """Adds a table of the thresholds and columns that sum it up.

    ``threshold_passed`` is the share of held-out normal training scores at or below the threshold, see `Threshold`, and
    ``normal_passed`` that of the scored clips which are labelled normal, each with its interval of 95 %, over all
    instances.

    Args:
        report: Of the scored clips.
        clips: They, in the report's order.
        found: Machine instance -> threshold; empty leaves the report as it is.
    """
    if not found:
        return report
    normals, passed = Counter[str](), Counter[str]()
    for clip, decision in zip(clips, report.decisions or [], strict=False):
        if clip.target == 0:
            normals[clip.attributes["instance"]] += 1
            passed[clip.attributes["instance"]] += decision == 0
    rows: list[Row] = [
        {
            "instance": name,
            "threshold": each.value,
            "rule": each.rule,
            "scores": each.num_scores,
            **_share("passed", each.num_passed, each.num_scores),
            "normals": normals[name],
            **_share("normal_passed", passed[name], normals[name]),
            "remark": each.remark,
        }
        for name, each in found.items()
    ]
    rules = Counter(each.rule for each in found.values()).most_common()
    columns = {
        "threshold_rule": rules[0][0] if len(rules) == 1 else ", ".join(f"{rule} {n}" for rule, n in rules),
        **_share(
            "threshold_passed",
            sum(each.num_passed for each in found.values()),
            sum(each.num_scores for each in found.values()),
        ),
        **(_share("normal_passed", passed.total(), normals.total()) if normals else {}),
    }
    return replace(report, columns=columns, tables={**report.tables, "thresholds": rows})


def _share(name: str, passed: int, of: int) -> dict[str, float]:
    low, high = passed_interval(passed, of)
    return {name: passed / of if of else float("nan"), f"{name}_low": low, f"{name}_high": high}
