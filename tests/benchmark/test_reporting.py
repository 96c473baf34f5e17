"""What a report costs, measured on few trials; no figure of time is asserted."""

from lightning_modules.benchmark import reporting


def test_a_report_and_a_bare_reading_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "_ROUNDS", 1)
    figures = reporting.report_figures(tmp_path, num_trials=200, num_corpora=2)
    assert (figures["trials"], figures["corpora"]) == (200, 2)
    assert (
        figures["report_over_loadtxt_and_sort"] == figures["report_cpu_s"] / figures["loadtxt_and_sort_cpu_s"]
    )
    assert "| made |" in (tmp_path / "report/README.md").read_text()
    assert figures["report_memory_gib"] < 0.5  # without torch
