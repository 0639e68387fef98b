"""Steps of training."""

from __future__ import annotations

import torch

from training.steps import Muon


def test_muon_steps_as_the_library_does() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(64, 170))
    theirs = torch.nn.Parameter(ours.detach().clone())
    muon = Muon([ours], lr=1e-2)
    library = torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        ours.grad = torch.randn(64, 170)
        theirs.grad = ours.grad.clone()
        muon.step()
        library.step()
    # The library computes in bfloat16.
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)
