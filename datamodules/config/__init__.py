"""From text to values: the one parser of configurations and command lines, and what is wrong with them."""
