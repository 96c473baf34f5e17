"""Names as matplotlib shows them unchanged."""

from lightning_modules.run.folder import Run


def headline(run: Run, corpus: str, split: str = "") -> str:
    """Returns what stands above every figure of a run: its name, the corpus, and the split where it is of one.

    >>> headline(Run(experiment="ssd", id="3f2a"), "ASVspoof 2021_DF", "test")
    'ssd/3f2a: ASVspoof 2021_DF, test'
    """
    return plain(f"{run.experiment}/{run.id}: {', '.join(filter(None, (corpus, split)))}")


def plain(name: str) -> str:
    r"""Returns a label that is neither taken for a formula nor, for its underscore, left out of the legend.

    >>> plain("_silence_"), plain("US$")
    (' _silence_', 'US\\$')
    """
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
