"""Synthetic kits in folders of classes, with a list of their tags."""

from pathlib import Path

from datamodules.demo.one_shots import write_one_shots

_TAGS = {
    "kick": "skin;dark",
    "tom": "skin",
    "snare": "skin;bright",
    "hihat": "metal;bright",
    "clap": "bright",
}


def write_tags(root: Path) -> None:
    """Writes labels.csv beside folders of classes."""
    files = sorted(path for path in root.glob("*/*") if path.is_file())
    rows = [f"{path.parent.name}/{path.name},{_TAGS[path.parent.name]}" for path in files]
    (root / "labels.csv").write_text("\n".join(["file,tags", *rows, ""]))


def write_tagged_sounds(root: Path, *, num_hits: int) -> Path:
    """Writes four kits and the list; returns the folder."""
    write_one_shots(root, num_kits=4, num_hits=num_hits)
    write_tags(root)
    return root
