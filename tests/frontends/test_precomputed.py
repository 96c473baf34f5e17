"""What older configurations put around a front end."""

import torch

from lightning_modules.frontends import Packed, PanottiMelgram, Precomputed


def test_the_older_name_gives_a_wrapper_that_hears_as_its_front_end_does():
    frontend, waveform = PanottiMelgram(16000, num_frames=8), 0.1 * torch.randn(2, 1, 4000)
    assert Packed is Precomputed
    assert list(Packed(frontend).state_dict()) == [f"frontend.{name}" for name in frontend.state_dict()]
    assert torch.equal(Packed(frontend)(waveform), frontend(waveform))
