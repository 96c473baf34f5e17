"""The parser of configurations, which knows this project's classes by their names alone."""

from datamodules.config.parser import Parser


class PlatformParser(Parser):
    """Imports networks, methods and the like where a configuration names one without its path."""

    faces = tuple(
        f"lightning_modules.{room}"
        for room in ("ssd", "asd", "event", "production", "networks", "frontends", "objectives", "metrics")
    )
