"""Says what a frozen network knows already: a linear probe and nearest neighbours of its embeddings beside a baseline.

The network is the configuration's, with its weights, or a checkpoint's: of an encoder with a back end the encoder, of
any other its embedding. Probes are fitted to the training clips, and evaluated on validation and test in the figures of
the data's task, whatever the configuration's own: `linear` is logistic regression of standardised embeddings, whose
penalty 1/C is chosen on validation (1 where there is none), `k-NN` the mean cosine similarity of the nearest training
clips of each class. Of machines, whose training is normal, a linear probe has nothing to tell apart: k-NN alone is the
distance from the nearest normal clips. The baseline is of mel band statistics, as in lightning_modules.baseline:
logistic regression, of machines the nearest normal clip. Embeddings are kept in the cache, where every probe of the
same network and clips finds them.

--backends scores machines by any number of the back ends of lightning_modules.asd.backends too, each by the embeddings
that are in the cache and by standardised statistics of mel bands, for which nothing is trained: names of classes, or
YAML files of names and settings; all of them with their defaults where none is named.

--layers probes each layer of an encoder, numbered from the input of its first block, --pooling class its class tokens
rather than the mean over time, and --output FILE.csv takes all figures, of which the table has the first.

Examples:
    python -m lightning_modules.probe --config configs/event_ast.yaml
    python -m lightning_modules.probe --config encoder.yaml --layers --pooling class --output layers.csv
    python -m lightning_modules.probe --config configs/asd_arcface.yaml --backends NearestNeighbours LocalDensity
    python -m lightning_modules.probe --ckpt_path runs/ssd_aasist/3f2a/checkpoints/last.ckpt

Exit codes: 0 evaluated, 1 a file is wrong or the network has no embedding, 2 wrong use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.config.arguments import CommandParser
from datamodules.files import csv_text, write_text_atomically
from lightning_modules.commands.launch import launch

if TYPE_CHECKING:
    from lightning_modules.probes.tasks import Probed

_MOST_FIGURES = 5  # of a table on a screen


def main() -> None:
    """Runs the command."""
    parser = CommandParser("lightning_modules.probe", description=__doc__, add_help=False)
    add = parser.add_argument
    add(
        "--layers",
        action="store_true",
        help="probe each layer of the encoder, numbered from the input of its blocks",
    )
    add(
        "--pooling",
        choices=("mean", "class"),
        help="of an encoder's states over time, or of its class tokens (mean)",
    )
    add(
        "--backends",
        nargs="*",
        metavar="NAME",
        help="of machines: back ends of anomaly scores, by names or YAML files; all of them if none is named",
    )
    add("--output", type=Path, help="also write all figures to this CSV file")
    options, arguments = parser.parse_known_args()
    from lightning_modules.config import cli

    platform = cli.build("probe", __doc__ or "", arguments, also_known=parser.known)
    from lightning_modules.commands.workflow import load_chosen_weights
    from lightning_modules.probes.embedder import Embedder
    from lightning_modules.probes.heard import embed
    from lightning_modules.probes.machines import named_backends
    from lightning_modules.probes.tasks import probe

    if platform.ckpt_path is not None:
        load_chosen_weights(platform, None)
    settings = platform.resolved()
    if platform.model.network is None:
        raise ValueError(
            f"{type(platform.model).__name__} has several networks or none, and a probe is of one"
        )
    backends = None if options.backends is None else named_backends(options.backends)
    embedder = Embedder(platform.model.network, all_layers=options.layers, pooling=options.pooling)
    platform.datamodule.prepare_data()
    found = probe(
        platform.model,
        platform.datamodule,
        embedder,
        partial(embed, platform.model, embedder),
        settings["model"]["init_args"],
        backends,
    )
    experiment = platform.run_folder.experiment
    named = platform.ckpt_path is not None or names_weights(settings["model"])
    network = f"{type(embedder.part).__name__}{'' if named else ' of random weights'}"
    show(f"{experiment}: probes of {network}", found)
    if options.output is not None:
        write(options.output, experiment, found)


def names_weights(settings: Any) -> bool:
    """Whether a configuration names weights, of the method or of a part of it."""
    if isinstance(settings, Mapping):
        return bool(settings.get("weights")) or any(map(names_weights, settings.values()))
    return False


def show(title: str, found: Sequence[Probed]) -> None:
    """Prints the first figures, a row a probe and split."""
    figures = list(found[0].report.metrics)[:_MOST_FIGURES]
    has_layers = len({each.layer for each in found}) > 2  # beside the baseline's
    notes = [] if has_all(found, figures) else ["--output has more figures"]
    if not any(each.probe.startswith("linear") for each in found):
        notes.append("linear: left out, for the training is of normal clips alone")
    table = Table(title=escape(title), caption="; ".join(notes))
    for name in (["layer"] if has_layers else []) + ["probe", "split", "clips"]:
        table.add_column(name)
    for figure in figures:
        table.add_column(figure, justify="right")
    for layer, name, split, report in found:
        values = (f"{report.metrics[figure]:.4f}" if figure in report.metrics else "" for figure in figures)
        table.add_row(*([layer] if has_layers else []), name, split, str(len(report.keys)), *values)
    console = Console()
    for warning in dict.fromkeys(warning for each in found for warning in each.report.warnings):
        console.print(f"[bold red]warning:[/] {escape(warning)}")
    console.print(table)


def has_all(found: Sequence[Probed], figures: Sequence[str]) -> bool:
    """Whether no report has other figures."""
    return all(set(each.report.metrics) <= set(figures) for each in found)


def write(path: Path, experiment: str, found: Sequence[Probed]) -> None:
    """Writes all figures as CSV, a row a probe and split."""
    figures = list(dict.fromkeys(figure for each in found for figure in each.report.metrics))
    rows = [
        {"experiment": experiment, "layer": layer, "probe": name, "split": split, "clips": len(report.keys)}
        | {figure: f"{report.metrics[figure]:.6f}" for figure in figures if figure in report.metrics}
        for layer, name, split, report in found
    ]
    write_text_atomically(path, csv_text([*list(rows[0])[:5], *figures], rows))


if __name__ == "__main__":
    launch(main)
