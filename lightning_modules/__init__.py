"""What learns: networks, front ends, objectives, metrics, Lightning modules, and the commands that run them."""

import datamodules.former_names
