"""The extractors by name, for whoever checks a config before torch is imported."""

from __future__ import annotations

import difflib
import re
from pathlib import PurePath

from mollitune.search.store.columns import Metric
from mollitune.search.store.evaluation import EXTRA_PREFIX, extra_metric

LENET = "lenet"
UNLABELLED = "lenet-unlabelled"
INCEPTION = "inception-v3-compat"
EFFICIENTNET = "efficientnet-lite0"
COLUMNS = "columns"
"""Of tables: their columns are the features."""
SHIPPED = (LENET, UNLABELLED, INCEPTION, EFFICIENTNET, COLUMNS)
FILE_PREFIX = "file:"

BESIDE = "fid_"
"""Start of the names of the metrics that are FIDs of extractors beside the one that decides."""

_WORDS = re.compile(r"\W+")
_CLASS_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def beside_column(name: str) -> str:
    """Return the column of the FID in the features of one more extractor.

    Example:
        >>> beside_column("efficientnet-lite0"), beside_column("file:weights/dino_v2.pt2")
        ('extra.fid_efficientnet_lite0', 'extra.fid_dino_v2')
    """
    return EXTRA_PREFIX + BESIDE + _WORDS.sub("_", _short(name)).strip("_").lower()


def beside_metric(name: str) -> Metric:
    """Return the metric that is the FID in the features of one more extractor."""
    short = beside_column(name).removeprefix(EXTRA_PREFIX)
    text = f"FID in features of {_short(name)}; at the end of a training"
    return extra_metric(short, text, better="lower")


def _short(name: str) -> str:
    """The name without folders, modules and endings."""
    if name.startswith(FILE_PREFIX):
        return PurePath(name.removeprefix(FILE_PREFIX)).stem
    return name.rpartition(":")[2]


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
