"""Write a demo corpus, e.g. ``python -m datamodules.demo machines data/demo/DCASE2020``."""

from pathlib import Path

from datamodules.config.arguments import CommandParser
from datamodules.demo import asvspoof, epic_kitchens, events, machines

_CORPORA = {
    "asvspoof": asvspoof.make_demo,
    "machines": machines.make_demo,
    "vggsound": events.write_vggsound,
    "kinetics_sounds": events.write_kinetics_sounds,
    "epic_kitchens": epic_kitchens.write_epic_kitchens,
}


def main() -> None:
    """Parse the command line and write the corpus."""
    parser = CommandParser(
        "datamodules.demo",
        description="Write a small synthetic corpus in a data set's own layout.",
        epilog="example: python -m datamodules.demo machines data/demo/DCASE2020",
    )
    parser.add_argument("corpus", choices=sorted(_CORPORA), help="whose layout")
    parser.add_argument("folder", type=Path, help="where to write; must not exist")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same corpus (default: 0)"
    )
    arguments = parser.parse_args()
    if arguments.folder.exists():
        parser.error(f"{arguments.folder} exists: name a new folder or delete it")
    _CORPORA[arguments.corpus](arguments.folder, seed=arguments.seed)


if __name__ == "__main__":
    main()
