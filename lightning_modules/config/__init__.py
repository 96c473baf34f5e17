"""From text to objects: what a configuration says, and what is wrong with it."""
