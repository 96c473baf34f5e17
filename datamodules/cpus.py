"""How many CPUs there are for this process."""

import os


def allowed_cpus() -> int:
    """CPUs that this process may use: those that a scheduler gave it, where the system tells."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
