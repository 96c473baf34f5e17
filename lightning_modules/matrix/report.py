"""The matrix of an evaluations.csv: who was trained on what and errs how often where, and what was published."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from datamodules.files import csv_text, write_text_atomically
from lightning_modules.matrix.breakdowns import one_class_breakdowns
from lightning_modules.matrix.evaluated import CLEAN, TABLE, Column, Evaluations, read_evaluations
from lightning_modules.matrix.figures import Figures, compute, conditions, inverted
from lightning_modules.matrix.published import SHIPPED, Published, System, read_published
from lightning_modules.matrix.tables import checkpoint_lines, lines, matrix, most_seeds, robustness
from lightning_modules.run.text_tables import latex_table, markdown_lines


def summary(path: Path, checkpoints: Iterable[str], *, threshold_from: str | None = None) -> str:
    """The matrix of some checkpoints, without the published figures; empty where none has tables of trials.

    Raises:
        ValueError: As `compute`.
    """
    if not path.is_file():
        return ""
    evaluations = read_evaluations(path, checkpoints)
    if not evaluations.rows:
        return ""
    found = compute(evaluations.rows, threshold_from=threshold_from)
    return "\n".join([*_bullets(_remarks(evaluations, found)), "", *_sections(found, (), head="")])


def report(
    path: str | Path, folder: Path, *, threshold_from: str | None = None, published: str = SHIPPED
) -> str:
    """Writes README.md, matrix.csv, checkpoints.csv and LaTeX tables into a folder; returns the README's text.

    Args:
        path: Of the table, or its folder.
        folder: Of the report.
        threshold_from: See `compute`.
        published: A file of published figures.

    Raises:
        ValueError: There is nothing to report, or a file is wrong.
    """
    table = Path(path) / TABLE if Path(path).is_dir() else Path(path)
    evaluations = read_evaluations(table)
    if not evaluations.rows:
        reason = " ".join(evaluations.remarks) or "no row"
        raise ValueError(f"{table}: nothing to report: {reason}")
    known = read_published(published)
    found = compute(evaluations.rows, threshold_from=threshold_from)
    names = known.names(evaluations.rows)
    systems = [
        (system, of_columns)
        for system in known.systems
        if (of_columns := {column: system.eer[name] for column, name in names.items() if name in system.eer})
    ]
    text = [
        f"# {folder.name}\n",
        *_bullets(_remarks(evaluations, found)),
        *_bullets(_sources(systems, found, known, names)),
        "",
    ]
    text += _sections(found, systems, head="## ", latex_folder=folder)
    estimates = found.estimates()
    _write_csv(folder / "matrix.csv", lines(found, estimates, systems))
    paths = {(each.detector, each.condition, each.seed): each.checkpoint for each in evaluations.rows}
    _write_csv(folder / "checkpoints.csv", checkpoint_lines(found, paths))
    if _write_csv(folder / "one_class.csv", one_class_breakdowns(evaluations.rows, found)):
        text.append("one_class.csv has the trials of one class by attack, codec, language and speaker.\n")
    write_text_atomically(folder / "README.md", "\n".join(text))
    return "\n".join(text)


def _sections(
    found: Figures,
    systems: Sequence[tuple[System, Mapping[Column, float]]],
    *,
    head: str,
    latex_folder: Path | None = None,
) -> list[str]:
    """The matrix of clean speech, or of the only condition, and a table of conditions a detector."""
    estimates = found.estimates()
    under = conditions(estimates)
    seeds = most_seeds(estimates)
    kind = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    text = []

    def add(name: str, caption: str, cells: tuple[list[str], list[list[str]]], labels: int) -> None:
        text.extend([f"{head}{caption}\n", *markdown_lines(*cells, labels=labels), ""])
        if latex_folder is not None:
            write_text_atomically(
                latex_folder / f"{name}.tex", latex_table(f"{caption}.", *cells, labels=labels)
            )

    condition = under[0]
    add(
        "matrix",
        f"Equal error rate in percent, {condition}, {kind}",
        matrix(found, estimates, condition, systems if condition == CLEAN else ()),
        2,
    )
    several = [
        detector
        for detector in dict.fromkeys(key for key, _ in estimates)
        if sum(key == detector for key, _ in estimates) > 1
    ]
    for number, detector in enumerate(several, 1):
        caption = (
            f"{detector.method} on {detector.trained_on} by condition: equal error rate in percent, {kind}"
        )
        add(f"conditions_{number}", caption, robustness(found, estimates, detector, under), 1)
    return text


def _remarks(evaluations: Evaluations, found: Figures) -> list[str]:
    """Says what the figures rest on."""
    detectors = {detector for detector, _, _ in found.values}
    checkpoints = {(detector, seed) for detector, _, seed in found.values}
    counts = {
        "evaluations": evaluations.rows,
        "checkpoints": checkpoints,
        "methods": detectors,
        "sets of trials": found.sides,
    }
    text = [", ".join(f"{name}: {len(each)}" for name, each in counts.items())]
    if len(found.averaged) > 1:
        names = ", ".join(map(str, found.averaged))
        text.append(f"pooled: one threshold over all trials of {names}; mean: of their EERs")
    if one_class := [column for column, sides in found.sides.items() if not sides.both]:
        what = ", ".join(f"{column} ({found.sides[column].figure})" for column in one_class)
        text.append(
            f"{what}: of one class; 1-SRR is the share of spoofs that are accepted, FRR that of bona fide speech that"
            + (
                f" is rejected, at the EER threshold of {found.threshold_from}, clean where that was scored"
                if found.threshold_from is not None
                else " is rejected; no corpus of both classes gives a threshold: evaluate one"
            )
        )
    resources = {detector.resources for detector in detectors}
    if "open" in resources:
        text.append(
            "open: with a pretrained encoder, as ASVspoof 5 takes in its open condition alone; closed: without"
        )
    if found.missing:
        text.append(f"missing: {'; '.join(found.missing)}")
    return [*text, *(f"warning: {line}" for line in (*evaluations.remarks, *inverted(found)))]


def _sources(
    systems: Sequence[tuple[System, Mapping[Column, float]]],
    found: Figures,
    known: Published,
    names: Mapping[Column, str],
) -> list[str]:
    text = []
    if systems:
        sources: dict[str, list[str]] = {}
        for system, _ in systems:
            sources.setdefault(system.source, []).append(system.detector.method)
        text.append(
            "published: " + "; ".join(f"{', '.join(who)}: {source}" for source, who in sources.items())
        )
    shown = {column for _, of_columns in systems for column in of_columns}
    for column, name in names.items():
        ours = found.sides[column].bonafide, found.sides[column].spoof
        theirs = known.trials.get(name, ours)
        if column in shown and theirs != ours:
            text.append(
                f"warning: {column}: published figures are of {theirs[0]} bona fide and {theirs[1]} spoofed trials,"
                f" ours of {ours[0]} and {ours[1]}: not to be compared"
            )
    return text


def _bullets(said: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in said]


def _write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> bool:
    """Writes rows of equal columns; returns whether there are any."""
    if rows:
        write_text_atomically(path, csv_text(list(rows[0]), rows))
    return bool(rows)
