"""Serves a trained mapper over OSC, with Wekinator's addresses and ports, and learns new examples live.

A WAV file can stand for the microphone, which is left to other programs.

Examples:
    python -m lightning_modules.mapper --ckpt_path runs/production_mapper/3f2a/checkpoints/last.ckpt
    python -m lightning_modules.mapper --ckpt_path last.ckpt --listen 6448 --send 127.0.0.1:12000 --save train.csv
    python -m lightning_modules.mapper --ckpt_path last.ckpt --play performance.wav --hop_s 0.05
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from datamodules.config.arguments import CommandParser
from lightning_modules.config import cli
from lightning_modules.mapper.session import Session
from lightning_modules.production.mapping import Mapper
from lightning_modules.trained.checkpoint import trained_parts

if TYPE_CHECKING:
    from lightning_modules.mapper.osc import Server


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command until it is interrupted or the file has been played."""
    options = _parser().parse_args(arguments)
    from lightning_modules.mapper.osc import Server  # --help needs no python-osc

    parts = trained_parts(options.ckpt_path)
    model, data = parts.model, parts.datamodule
    if not isinstance(model, Mapper):
        raise ValueError(f"{options.ckpt_path}: holds {type(model).__name__}: name a mapper's checkpoint")
    data.outputs = model.outputs  # class names without the training data
    session = Session(model)
    with Server(session, listen=options.listen, send=options.send) as server:
        print(
            f"{session.mapper.input_names} -> {list(session.mapper.outputs)}, {len(session.inputs)} examples"
        )
        print(f"listens at {server.server_address}, sends to {options.send}", flush=True)
        try:
            if options.play:
                _play(server, data.windows(options.play, options.hop_s), options.hop_s)
            else:
                server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")
    if options.save:
        names = session.mapper.input_names
        data.write_examples(options.save, names, session.inputs, session.outputs)


def _play(server: "Server", windows: Iterable[Tensor], hop_s: float) -> None:
    """Sends the outputs of every window when it would have been heard."""
    start = time.monotonic()
    for number, window in enumerate(windows):
        outputs = server.session.hear(window)
        time.sleep(max(start + number * hop_s - time.monotonic(), 0))
        server.send_outputs(outputs)


def _parser() -> CommandParser:
    parser = CommandParser("lightning_modules.mapper", description=__doc__)
    add = parser.add_argument
    add("--ckpt_path", required=True, metavar="FILE", help="of lightning_modules.fit")
    add(
        "--listen", type=_address, default="6448", metavar="[HOST:]PORT", help="inputs (default: %(default)s)"
    )
    add(
        "--send", type=_address, default="12000", metavar="[HOST:]PORT", help="outputs (default: %(default)s)"
    )
    add("--play", metavar="FILE", help="map this sound as if it were heard now, then stop")
    add("--hop_s", type=float, default=0.05, help="seconds from window to window (default: %(default)s)")
    add("--save", type=Path, metavar="CSV", help="write the examples at the end, to train from again")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


if __name__ == "__main__":
    cli.one_line_errors(main)
