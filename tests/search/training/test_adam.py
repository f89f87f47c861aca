"""Our Adam is torch's, but for what it loads."""

import copy

import pytest
import torch
from tests.search.bench import states

from mollitune._optim import Adam


@pytest.mark.parametrize("fused", [True, False])
def test_the_steps_are_torchs_own_and_each_goes_on_from_the_others_state(fused: bool) -> None:
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 6)) for _ in range(2)]
    ours, theirs = (
        cls([w], fused=fused) for cls, w in zip([Adam, torch.optim.Adam], weights, strict=True)
    )
    for step in range(9):
        for optimiser, weight in ((ours, weights[0]), (theirs, weights[1])):
            optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimiser.zero_grad()
            (weight.square().sum() + weight.prod()).backward()
            optimiser.step()
        assert torch.equal(*weights)
        one, other = (copy.deepcopy(each.state_dict()) for each in (ours, theirs))
        assert states(one) == states(other)
        ours.load_state_dict(other)
        theirs.load_state_dict(one)
