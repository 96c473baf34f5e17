"""The session as a server of Open Sound Control, with Wekinator's addresses.

``/wek/inputs f...`` is answered by ``/wek/outputs f...``, classes counted from 1. Control, below
``/wekinator/control/``: ``outputs f...``, ``startRecording``, ``stopRecording``, ``train``, ``startRunning``,
``stopRunning``, ``deleteAllExamples`` as in Wekinator 2, and ``deleteLastExample``.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from lightning_modules.mapper.session import Session

try:
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer
    from pythonosc.udp_client import SimpleUDPClient
except ModuleNotFoundError:
    raise ValueError("OSC needs python-osc: pip install 'audio-research-platform[osc]'") from None

_CONTROL = "/wekinator/control/"


class Server(BlockingOSCUDPServer):
    """Listens on UDP and answers one message after the other.

    Args:
        session: What records, learns and maps.
        listen: Host and port of the inputs and the control; port 0 takes a free one, see ``server_address``.
        send: Host and port of the outputs.
    """

    def __init__(self, session: Session, *, listen: tuple[str, int], send: tuple[str, int]) -> None:
        self.session, self.client = session, SimpleUDPClient(*send)
        super().__init__(listen, self._dispatcher())

    def send_outputs(self, values: Sequence[float]) -> None:
        """Sends the outputs; class indices count from 1 on the wire."""
        self.client.send_message("/wek/outputs", self._shifted(values, 1))

    def _shifted(self, values: Sequence[float], by: int) -> list[float]:
        counts = self.session.mapper.num_classes
        if len(values) != len(counts):
            return list(values)  # the session refuses them
        return [value + by if classes else value for value, classes in zip(values, counts, strict=True)]

    def _dispatcher(self) -> Dispatcher:
        session = self.session
        control: dict[str, Callable[..., Any]] = {
            "outputs": lambda *values: session.set_outputs(self._shifted(values, -1)),
            "startRecording": lambda *_: setattr(session, "recording", True),
            "stopRecording": lambda *_: setattr(session, "recording", False),
            "startRunning": lambda *_: setattr(session, "running", True),
            "stopRunning": lambda *_: setattr(session, "running", False),
            "deleteAllExamples": lambda *_: session.delete(range(len(session.inputs))),
            "deleteLastExample": lambda *_: session.delete([len(session.inputs) - 1]),
            "train": lambda *_: session.train(),
        }
        dispatcher = Dispatcher()
        dispatcher.map("/wek/inputs", _guarded(self._inputs))
        for name, action in control.items():
            dispatcher.map(_CONTROL + name, _guarded(action))
        return dispatcher

    def _inputs(self, *values: float) -> None:
        outputs = self.session.receive(values)
        if outputs is not None:
            self.send_outputs(outputs)


def _guarded(action: Callable[..., Any]) -> Callable[..., None]:
    """A handler that answers a wrong message with a line, not with the end of the session."""

    def handle(address: str, *values: Any) -> None:
        try:
            action(*values)
        except (ValueError, TypeError) as error:
            print(f"{address}: {error}", file=sys.stderr)

    return handle
