"""Adam without `torch.compile`, which torch's own loads in every process that makes a step."""

import inspect

import torch


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, number by number, its states included.

    There, each method is wrapped to tell `torch.compile` of it, and so imports it: two seconds of
    every process that trains. No optimiser of ours is ever compiled.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
