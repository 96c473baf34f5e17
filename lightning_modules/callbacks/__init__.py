"""What watches a run, and the figures of a report."""
