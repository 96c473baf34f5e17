"""The mapper in use: examples come and go, over OSC too."""

import threading
from typing import Any

import pytest
import torch

from lightning_modules.mapper.session import Session
from lightning_modules.networks import NearestExamples, Perceptron
from lightning_modules.production import Mapper


def session(network=None):
    mapper = Mapper(network or NearestExamples())
    mapper.input_names, mapper.outputs = ["x", "y"], {"level": [], "scene": ["dark", "bright"]}
    mapper.learn(torch.tensor([[0.0, 0], [1, 1]]), torch.tensor([[0.25, 0], [0.75, 1]]))
    return Session(mapper)


@pytest.mark.parametrize("network", [NearestExamples(), Perceptron(3)])
def test_an_example_counts_once_it_is_learnt_and_no_more_when_deleted(network):
    live = session(network)
    before = live.receive([0.0, 1])
    live.add([0.0, 1], [9, 1])
    assert live.receive([0.0, 1]) == before
    live.train()
    assert live.receive([0.0, 1]) == pytest.approx([9, 1], abs=0.3)
    live.delete([2])
    live.train()
    assert live.receive([0.0, 1]) == before
    live.delete(range(2))
    with pytest.raises(ValueError, match="no examples"):
        live.train()


def test_recording_takes_the_outputs_that_were_set():
    live = session()
    live.set_outputs([0.5, 1])
    live.recording, live.running = True, False
    assert live.receive([0.3, 0.4]) is None
    assert torch.allclose(live.inputs[-1], torch.tensor([0.3, 0.4]))
    assert live.outputs[-1].tolist() == [0.5, 1]


def test_wrong_values_are_refused_in_one_line():
    live = session()
    with pytest.raises(ValueError, match=r"inputs \[1\]: expected 2 finite numbers, \['x', 'y'\]"):
        live.receive([1])
    with pytest.raises(ValueError, match="finite"):
        live.receive([1.0, float("nan")])
    with pytest.raises(ValueError, match="scene: no class of index 2 among"):
        live.set_outputs([0.5, 2])
    with pytest.raises(ValueError, match="has learnt nothing"):
        Session(Mapper(NearestExamples()))


def test_osc_loopback_with_the_addresses_of_wekinator(capsys):
    pytest.importorskip("pythonosc", reason="OSC needs python-osc: install the extra `osc`")
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer
    from pythonosc.udp_client import SimpleUDPClient

    from lightning_modules.mapper.osc import Server

    received, dispatcher = [], Dispatcher()
    dispatcher.map("/wek/outputs", lambda _, *values: received.append(list(values)))
    with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as synthesizer:
        synthesizer.timeout = 20
        address: Any = synthesizer.server_address
        with Server(session(), listen=("127.0.0.1", 0), send=(address[0], address[1])) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            listening: Any = server.server_address
            controller = SimpleUDPClient(*listening)

            def answer(*values):
                controller.send_message("/wek/inputs", values)
                synthesizer.handle_request()
                return received[-1]

            def control(name, *values):
                controller.send_message(f"/wekinator/control/{name}", values)

            assert answer(0.9, 0.9) == [0.75, 2]  # classes count from 1
            control("outputs", 0.5, 3.0)  # no such class
            controller.send_message("/wek/inputs", [1.0])
            control("outputs", 0.5, 1.0)
            control("startRecording")
            assert answer(0.6, 0.7) == [0.75, 2]
            control("stopRecording")
            control("train")
            assert answer(0.6, 0.7) == [0.5, 1]
            control("deleteLastExample")
            control("train")
            assert answer(0.6, 0.7) == [0.75, 2]
            server.shutdown()
            thread.join()
    assert len(received) == 4
    errors = capsys.readouterr().err
    assert "/wekinator/control/outputs: scene: no class of index 2" in errors
    assert "/wek/inputs: inputs [1.0]: expected 2 finite numbers" in errors
