"""How this process was started, by whom, and how it is stopped."""
