"""The folder of a production training: its description, table, samples and weights."""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyarrow import fs
from torch import Tensor

from mollitune._errors import MollituneError
from mollitune._files import first_line, resolve, write_atomic
from mollitune.search.store.lease import LEASE_FILE
from mollitune.search.store.retry import Retry

DESCRIPTION = "train.json"
FORMAT = "mollitune.train"
VERSION = 1
METRICS = "metrics.parquet"
WEIGHTS = "model.pt"
AVERAGE = "ema.pt"

_INT, _FLOAT, _STRING = pa.int64(), pa.float64(), pa.string()
COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "step": (_INT, "training steps done"),
    "progress": (_FLOAT, "share of the training that is done"),
    "level": (_FLOAT, "mollification at this step: noise variance, for blur the sigma in px"),
    "phase": (_STRING, "mollified or clean: the training data at this step"),
    "fid": (_FLOAT, "FID of the samples; lower is better"),
    "fid_reference": (_STRING, "split that fid and bpd were measured against"),
    "fid_samples": (_INT, "generated images behind the FID"),
    "bpd": (_FLOAT, "bits per dimension of clean images of that split"),
    "train_loss": (_FLOAT, "mean loss since the evaluation before, in nats per dimension"),
    "non_finite_losses": (_INT, "steps so far that were skipped: loss or gradient not finite"),
    "non_finite_samples": (_INT, "generated images so far that held a value that is not finite"),
    "step_seconds": (_FLOAT, "mean time of a training step since the evaluation before"),
    "eval_seconds": (_FLOAT, "time of this evaluation"),
}
"""Columns of ``metrics.parquet``: a row per evaluation, and one of the test split at the end."""


class TrainFolder:
    """Reads and writes the files of one training, each whole or not at all.

    Arguments:
        location: The folder, a path or URI.
        retry: How long a write is tried again.
    """

    def __init__(self, location: str, retry: Retry | None = None) -> None:
        self.location = location
        self._filesystem, self._root = resolve(location)
        self._retry = retry or Retry()

    def description(self) -> dict[str, Any] | None:
        """Return ``train.json``; None if the folder is empty or not there.

        Raises:
            MollituneError: If the folder holds something else, or the file is damaged.
        """
        data = self.read(DESCRIPTION)
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

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            MollituneError: If it cannot be read.
        """
        path = posixpath.join(self._root, name)
        try:
            if self._filesystem.get_file_info(path).type == fs.FileType.NotFound:
                return None
            with self._filesystem.open_input_stream(path) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise MollituneError(f"cannot read {path}: {first_line(error)}") from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        path = posixpath.join(self._root, name)
        self.insist(lambda: write_atomic(self._filesystem, path, data))

    def insist(self, attempt: Callable[[], None]) -> None:
        """Try a write until the storage takes it, as long as the patience lasts.

        Raises:
            MollituneError: If it does not.
        """
        try:
            self._retry(attempt)
        except OSError as error:
            raise MollituneError(
                f"cannot write to {self.location}: {first_line(error)}; free some space or mend "
                "the permissions, then give the same command again"
            ) from None

    def _refuse_foreign(self) -> None:
        """Refuse a folder with files of someone else; a start that was killed left only these."""
        selector = fs.FileSelector(self._root, allow_not_found=True)
        try:
            names = [info.base_name for info in self._filesystem.get_file_info(selector)]
        except OSError as error:
            raise MollituneError(
                f"cannot use {self.location}: {first_line(error)}; choose another --output"
            ) from None
        foreign = [n for n in names if n != LEASE_FILE and not n.endswith(".tmp")]
        if foreign:
            raise MollituneError(
                f"{self.location} holds other files ({foreign[0]}) and no {DESCRIPTION}; choose "
                "another --output"
            )
