"""Which trial of one list is which of another: by equal ids, or by file names without folders and endings."""

from collections.abc import Sequence

_ENDINGS = {"wav", "flac", "mp3", "m4a", "ogg", "opus", "aac"}
_MAX_DEPTH = 5  # of folders that tell files of equal names apart


def align(wanted: Sequence[list[str]], given: Sequence[list[str]]) -> tuple[list[str], list[str], str]:
    """Finds under which names two lists call trials the same.

    Equal ids come first; then file names without ending and folders; then as many of the last folders as it takes until
    no two files of a list share a name.

    Args:
        wanted: Columns that may name the trials of the one list.
        given: Of the other.

    Returns:
        Names of the trials of either list, and what was taken for what: "" where they are equal or have nothing in
        common, which leaves the first columns.

    Raises:
        ValueError: Names agree, but for files that only more folders would tell apart.
    """
    pairs = [(ours, theirs) for ours in wanted for theirs in given]
    for ours, theirs in pairs:
        if not set(ours).isdisjoint(theirs):
            return ours, theirs, ""
    ambiguous = ""
    for depth in range(1, _MAX_DEPTH + 1):
        for ours, theirs in pairs:
            short_ours, short_theirs = (shortened(names, depth) for names in (ours, theirs))
            row_of = {name: row for row, name in enumerate(short_ours)}
            row = next((row for row, name in enumerate(short_theirs) if name in row_of), None)
            if row is None:
                continue
            repeated = _equal_pair(short_ours, ours) or _equal_pair(short_theirs, theirs)
            if not repeated:
                told = f"{theirs[row]} is taken for {ours[row_of[short_theirs[row]]]}, as are all others"
                return short_ours, short_theirs, told
            ambiguous = (
                ambiguous or f"{repeated[0]} and {repeated[1]} have one name: give ids with their folders"
            )
    if ambiguous:
        raise ValueError(ambiguous)
    return wanted[0], given[0], ""


def shortened(names: Sequence[str], depth: int) -> list[str]:
    """Names without the ending of audio, of whose folders only the last are left, `depth` parts in all."""
    short = []
    for name in names:
        stem, dot, ending = name.replace("\\", "/").rpartition(".")
        path = stem if dot and ending.lower() in _ENDINGS else name
        short.append("/".join(path.rsplit("/", depth)[-depth:]))
    return short


def _equal_pair(short: list[str], names: list[str]) -> tuple[str, str] | None:
    """Two different names that are equal when shortened."""
    if len(set(short)) == len(short):
        return None
    first: dict[str, str] = {}
    return next(
        (
            (first[key], name)
            for key, name in zip(short, names, strict=True)
            if first.setdefault(key, name) != name
        ),
        None,
    )
