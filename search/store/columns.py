"""What a column of a table is, and what one that an evaluation measures is."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
_BETTER: tuple[Literal["lower", "higher"], ...] = ("lower", "higher")
_DIRECTION = "; {} is better"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Name of the column.
        type: Arrow type.
        description: What it holds, with its unit.
        nullable: Whether a row may leave it empty.
        values: The only legal values of a text column; empty when any text is legal.
    """

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    values: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The description in full."""
        return self.description

    @property
    def field(self) -> pa.Field:
        """The column as an Arrow field that carries its description."""
        return pa.field(self.name, self.type, self.nullable, metadata={"description": self.text})


@dataclass(frozen=True)
class Metric(Column):
    """One number, or word, that an evaluation measures; a column of ``reports``.

    Attributes:
        unit: Its unit; empty for a pure number.
        better: Whether lower or higher values are better; None: neither.
        logged: Whether loggers, such as TensorBoard's, get it.
    """

    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    logged: bool = True

    @property
    def text(self) -> str:
        """The description with unit and direction."""
        direction = _DIRECTION.format(self.better) if self.better else ""
        return f"{self.description}{f', {self.unit}' if self.unit else ''}{direction}"


def told_better(field: pa.Field) -> Literal["lower", "higher"] | None:
    """Read `Metric.better` back from a column's description in a table."""
    text = (field.metadata or {}).get(b"description", b"").decode()
    return next((better for better in _BETTER if text.endswith(_DIRECTION.format(better))), None)
