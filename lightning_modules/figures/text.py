"""Names as matplotlib shows them unchanged."""


def plain(name: str) -> str:
    r"""Returns a label that is neither taken for a formula nor, for its underscore, left out of the legend.

    >>> plain("_silence_"), plain("US$")
    (' _silence_', 'US\\$')
    """
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
