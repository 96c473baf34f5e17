"""What the option parsers of the commands have in common."""

import argparse


def command_parser(name: str, *, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """Parser of ``python -m lightning_modules.<name>``, whose help keeps the line breaks of its texts.

    Args:
        name: Of the command.
        description: Stands before the options.
        epilog: Stands after them: examples and exit codes.
    """
    return argparse.ArgumentParser(
        prog=f"python -m lightning_modules.{name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def at_least_one(text: str) -> int:
    """Type of an option that counts.

    Raises:
        argparse.ArgumentTypeError: For anything but a whole number from 1 on; the parser names the option.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return number
