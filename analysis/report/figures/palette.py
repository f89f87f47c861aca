"""Colours of the schedule families: Okabe and Ito's palette, made for colour-blind readers too."""

import zlib

_FAMILIES = {
    "vanilla": "#8A8F98",
    "linear": "#E69F00",
    "cosine": "#009E73",
    "sigmoid": "#0072B2",
    "blur": "#CC79A7",
    "polynomial": "#D55E00",
    "exponential": "#56B4E9",
    # the palette has eight colours; these are told apart by lightness too
    "cosine_shift": "#999933",
    "edm": "#A65628",
    "knots": "#8C6BB1",
}
_OTHERS = ("#F0E442", "#44AA99", "#AA4466")


def family_color(family: str) -> str:
    """Colour of a family, the same in every report; own families share what is left over."""
    other = _OTHERS[zlib.crc32(family.encode()) % len(_OTHERS)]
    return _FAMILIES.get(family, other)
