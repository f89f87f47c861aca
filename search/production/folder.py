"""The folder of a production training: its description, table, samples and weights."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from mollitune._errors import MollituneError
from mollitune._folder import Folder
from mollitune.search.store.columns import INT, STRING
from mollitune.search.store.evaluation import MEASURED
from mollitune.search.store.lease import LEASE_FILE
from mollitune.search.store.retry import Retry

DESCRIPTION = "train.json"
FORMAT = "mollitune.train"
VERSION = 1
METRICS = "metrics.parquet"
WEIGHTS = "model.pt"
AVERAGE = "ema.pt"

_OF_THE_FID = {
    "fid_reference": (STRING, "split that fid and bpd were measured against"),
    "fid_samples": (INT, "generated images behind the FID"),
}
_MEASURED = {
    name: (metric.type, metric.text)
    for name, metric in MEASURED.items()
    # no rung judges a training by itself, and its FIDs are of the weights that are written
    if not name.startswith("probe_") and name != "step_fid"
}
_FIRST = {name: _MEASURED[name] for name in ("step", "progress", "level", "phase", "fid")}
COLUMNS: dict[str, tuple[pa.DataType, str]] = {**_FIRST, **_OF_THE_FID, **_MEASURED}
"""Columns of ``metrics.parquet``: a row per evaluation, and one of the test split at the end."""


class TrainFolder:
    """Reads and writes the files of one training, each whole or not at all.

    Arguments:
        location: The folder, a path or URI.
        retry: How long a write is tried again.

    Attributes:
        location: The folder.
        retry: How long a write is tried again.
    """

    def __init__(self, location: str, retry: Retry | None = None) -> None:
        self.location = location
        self.retry = retry or Retry()
        self._files = Folder(location)

    def description(self) -> dict[str, Any] | None:
        """Return ``train.json``; None if the folder is empty or not there.

        Raises:
            MollituneError: If the folder holds something else, or the file is damaged.
        """
        data = self._files.read(DESCRIPTION)
        if data is None:
            self._refuse_foreign()
            return None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        whole = isinstance(found, dict) and found.get("format") == FORMAT
        if not whole or not {"settings", "status", "dataset", "schedule"} <= found.keys():
            raise MollituneError(
                f"{self.location}/{DESCRIPTION} is not that of a training, or damaged; restore it "
                "from a copy, or choose another --output"
            )
        if found.get("version") != VERSION:
            raise MollituneError(
                f"{self.location} was written by another version: format {found.get('version')}, "
                f"this one reads {VERSION}; use the version that its {DESCRIPTION} names"
            )
        return dict(found)

    def describe(self, description: Mapping[str, Any]) -> None:
        """Write ``train.json``.

        Raises:
            MollituneError: If it cannot be written, as for all that writes here.
        """
        document = {"format": FORMAT, "version": VERSION, **description}
        text = json.dumps(document, indent=2, allow_nan=False)
        self.write(DESCRIPTION, text.encode() + b"\n")

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the table of evaluations."""
        schema = pa.schema(
            [pa.field(n, t, metadata={"description": d}) for n, (t, d) in COLUMNS.items()]
        )
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(map(dict, rows)), schema), buffer)
        self.write(METRICS, buffer.getvalue())

    def write_weights(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Write a state dict, on the CPU so that it loads on any machine."""
        buffer = io.BytesIO()
        torch.save({key: value.detach().cpu().clone() for key, value in state.items()}, buffer)
        self.write(name, buffer.getvalue())

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        self._files.write(name, data, self.retry)

    def _refuse_foreign(self) -> None:
        """Refuse a folder with files of someone else; a start that was killed left only these."""
        names = [info.base_name for info in self._files.list()]
        foreign = [n for n in names if n != LEASE_FILE and not n.endswith(".tmp")]
        if foreign:
            raise MollituneError(
                f"{self.location} holds other files ({foreign[0]}) and no {DESCRIPTION}; choose "
                "another --output"
            )
