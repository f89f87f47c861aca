"""The extractors by name, for whoever checks a config before torch is imported."""

from __future__ import annotations

import difflib
import re

LENET = "lenet"
UNLABELLED = "lenet-unlabelled"
INCEPTION = "inception-v3-compat"
EFFICIENTNET = "efficientnet-lite0"
COLUMNS = "columns"
"""Of tables: their columns are the features."""
SHIPPED = (LENET, UNLABELLED, INCEPTION, EFFICIENTNET, COLUMNS)
FILE_PREFIX = "file:"

_CLASS_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def check_extractor_name(name: str) -> None:
    """Check the form of a name: a shipped extractor, ``file:PATH`` or ``module:Class``.

    Whether the file or class exists is for `prepare_extractor` to find.

    Raises:
        ValueError: If it is none of these; the message lists what is allowed.

    Example:
        >>> check_extractor_name("my_package.networks:Encoder")
        >>> check_extractor_name("lennet")
        Traceback (most recent call last):
        ...
        ValueError: extractor is 'lennet'; did you mean 'lenet'? allowed: lenet, \
lenet-unlabelled, inception-v3-compat, efficientnet-lite0, columns, file:PATH (TorchScript or \
torch.export), module:Class
    """
    is_file = name.startswith(FILE_PREFIX) and name != FILE_PREFIX
    if name in SHIPPED or is_file or _CLASS_NAME.fullmatch(name):
        return
    close = difflib.get_close_matches(name, SHIPPED, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ValueError(
        f"extractor is {name!r}; {hint}allowed: {', '.join(SHIPPED)}, file:PATH (TorchScript or "
        "torch.export), module:Class"
    )
