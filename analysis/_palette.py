"""Colours of the schedule families: Okabe and Ito's palette, made for colour-blind readers too."""

import zlib

_FAMILIES = {
    "vanilla": "#8A8F98",
    "linear": "#E69F00",
    "cosine": "#009E73",
    "sigmoid": "#0072B2",
    "blur": "#CC79A7",
}
_OTHERS = ("#D55E00", "#56B4E9", "#F0E442")


def family_color(family: str) -> str:
    """Colour of a family, the same in every report; own families share what is left over."""
    other = _OTHERS[zlib.crc32(family.encode()) % len(_OTHERS)]
    return _FAMILIES.get(family, other)
