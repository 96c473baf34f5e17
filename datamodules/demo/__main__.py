"""Write a demo corpus, e.g. ``python -m datamodules.demo DCASE data/demo/DCASE2020``."""

from pathlib import Path

import datamodules
from datamodules.config.arguments import CommandParser
from datamodules.loading.resumable import ResumableDataModule

_FORMER = {"machines": "DCASE"}


def main() -> None:
    """Parse the command line and write the corpus."""
    parser = CommandParser(
        "datamodules.demo",
        description="Write a small synthetic corpus in a data set's own layout.",
        epilog="example: python -m datamodules.demo DCASE data/demo/DCASE2020",
    )
    parser.add_argument("data_set", help="a class of datamodules, such as ASVspoof or KineticsSounds")
    parser.add_argument("folder", type=Path, help="where to write; must not exist")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same corpus (default: 0)"
    )
    arguments = parser.parse_args()
    names = {_letters(name): name for name in datamodules.__all__} | _FORMER
    name = names.get(_letters(arguments.data_set))
    if name is None:
        known = ", ".join(datamodules.__all__)
        parser.error(f"no data set {arguments.data_set}: datamodules has {known}")
    data_set = getattr(datamodules, name)
    if not issubclass(data_set, ResumableDataModule) or data_set.demo_writer is None:
        parser.error(f"{name} has no demo corpus: choose another data set")
    if arguments.folder.exists():
        parser.error(f"{arguments.folder} exists: name a new folder or delete it")
    data_set.demo_writer(arguments.folder, seed=arguments.seed)


def _letters(name: str) -> str:
    """A name whatever its case and underscores: ``kinetics_sounds`` is `KineticsSounds`."""
    return name.replace("_", "").lower()


if __name__ == "__main__":
    main()
