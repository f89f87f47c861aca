"""What going on with a search needs of its description."""

from __future__ import annotations

from pydantic import BaseModel


class _Hashed(BaseModel):
    sha256: str


class _Images(_Hashed):
    shape: tuple[int, ...]


class _Final(BaseModel):
    marks: int
    share: float
    best: bool = False


class _Plan(BaseModel):
    every: float
    samples: int
    final: _Final | None = None
    share: float | None = None
    gain: float | None = None


class _Config(BaseModel):
    trials: int


class Resumable(BaseModel):
    """``search.json`` of a search that one can go on with."""

    config: _Config
    created: str
    dataset: _Images
    extractor: _Hashed
    evaluation: dict[str, _Plan]
    params: list[str]
