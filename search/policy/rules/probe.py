"""Rungs for runs that are still mollified: what is judged is where a short cooldown would end."""

from .asha import Asha
from .registry import register


@register
class Probe(Asha):
    """The rungs of `Asha`, on the FIDs of cooldown branches."""

    name = "probe"
    description = "asha on cooldown branches"
    probes = True
