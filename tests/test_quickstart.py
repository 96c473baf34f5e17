"""The quickstart notebook, stored without outputs and run from its first cell to its last."""

import csv
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def notebook() -> NotebookNode:
    return nbformat.read(REPOSITORY / "quickstart.ipynb", as_version=nbformat.NO_CONVERT)


def test_it_is_stored_valid_and_without_outputs(notebook: NotebookNode):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


def test_its_links_lead_to_pages_and_headings(notebook: NotebookNode):
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for page, heading in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", text):
        headings = re.findall(r"^#+ (.*)$", (REPOSITORY / page).read_text(), re.MULTILINE)
        assert not heading or heading in [title.lower().replace(" ", "-") for title in headings]


@pytest.mark.timeout(900)  # trains, in processes of its own
def test_it_trains_shows_mistakes_scores_and_exports(
    notebook: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for place in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(place, str(tmp_path / place))  # not the user's kernels and history
    NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute()

    (run,) = (tmp_path / "runs" / "quickstart").iterdir()
    (result,) = csv.DictReader((run / "results.csv").open())
    assert float(result["accuracy"]) > 2 * float(result["majority"])
    assert {"model.safetensors", "package.json"} <= {path.name for path in (run / "package").iterdir()}

    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert any("image/png" in output.get("data", {}) for output in outputs["results"])
    said, *shown = outputs["mistakes"]
    mistakes = round(int(result["clips"]) * (1 - float(result["accuracy"])))
    assert said.text.startswith(f"{mistakes} mistakes")
    assert sum("<audio" in output.get("data", {}).get("text/html", "") for output in shown) == min(
        mistakes, 5
    )
    printed = next(output for output in outputs["score-file"] if output.get("name") == "stdout")
    path, named = printed.text.strip().split(": ")
    assert named == Path(path).parent.name
    for cell in ("score-waveform", "export"):
        assert outputs[cell][-1].data["text/plain"] == "True"
