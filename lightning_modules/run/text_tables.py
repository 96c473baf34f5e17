"""Cells of a table as Markdown and LaTeX."""

from collections.abc import Sequence

_SPECIAL = str.maketrans(
    {each: f"\\{each}" for each in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}"}
    | {"−": "$-$", "–": "--", "±": r"$\pm$", "λ": r"$\lambda$"}
)


def markdown_lines(head: Sequence[str], rows: Sequence[Sequence[str]], *, labels: int = 1) -> list[str]:
    """Lines of a table, whose first columns are `labels` and whose others are numbers."""
    ruled = [head, ["---"] * labels + ["---:"] * (len(head) - labels), *rows]
    return ["| " + " | ".join(each.replace("|", r"\|") for each in line) + " |" for line in ruled]


def latex_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, labels: int = 1) -> str:
    """The same as a floating table, for the package booktabs."""
    first, *others = [" & ".join(cell.translate(_SPECIAL) for cell in row) for row in (head, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption.translate(_SPECIAL)}}}",
            rf"\begin{{tabular}}{{{'l' * labels}{'r' * (len(head) - labels)}}}",
            r"\toprule",
            rf"{first} \\",
            r"\midrule",
            *(rf"{row} \\" for row in others),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
