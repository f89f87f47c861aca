"""Writes the tables of the documentation anew: keys, presets, stopping rules, result columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mollitune.models import models, preset, presets
from mollitune.search.config import ModelConfig, SearchConfig
from mollitune.search.policy.rules import rule, rules
from mollitune.search.store.schema import describe

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODELS = ROOT / "docs" / "models.md"
TABLES = ROOT / "docs" / "tables.md"


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *escaped]
    )


def key_rows(section: type[BaseModel], prefix: str = "") -> list[tuple[str, ...]]:
    """List (key, default, meaning) of a section of the config, nested sections in place."""
    rows: list[tuple[str, ...]] = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, BaseModel):
            rows += key_rows(type(field.default), f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else f"`{shown_default(field)}`"
        rows.append((f"`{prefix}{name}`", default, field.description or ""))
    return rows


def shown_default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, list):
        return f"[{', '.join(str(getattr(own, 'family', own)) for own in value)}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "null" if value is None else str(value)


def key_table(section: type[BaseModel]) -> str:
    return markdown_table(("Key", "Default", "Meaning"), key_rows(section))


SIDES = (8, 16, 28, 32, 64)


def preset_table() -> str:
    """One row per model and preset; a value that depends on the side is given for each."""
    rows = []
    for model in models():
        for which in presets(model):
            entries = [preset(model, (1 if side < 32 else 3, side, side), which) for side in SIDES]
            cells = []
            for argument in entries[0]:
                values = [str(entry[argument]) for entry in entries]
                cells.append(
                    f"`{argument}` {' / '.join(values if len(set(values)) > 1 else values[:1])}"
                )
            rows.append((f"`{model}`", which, ", ".join(cells)))
    sides = " / ".join(f"{side}x{side}" for side in SIDES)
    return markdown_table(("Model", "Preset", f"Arguments, where they differ at {sides}"), rows)


def rule_table() -> str:
    rows = [(f"`{name}`", rule(name).description) for name in rules()]
    return markdown_table(("Rule", "What it does"), rows)


GENERATED: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "keys": lambda: key_table(SearchConfig),
        "model-keys": lambda: key_table(ModelConfig),
    },
    MODELS: {"presets": preset_table},
    ROOT / "docs" / "policy.md": {"rules": rule_table},
}


def with_generated(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    for name, make in GENERATED[page].items():
        start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        assert found, f"{page.name} has no place for the table {name}"
        text = f"{before}{start}{make()}\n{end}{after}"
    return text


def tables_page() -> str:
    parts = [
        "# Result tables\n\nA search writes three Parquet tables below `results/NAME/`. "
        "`mollitune query` and `load_results` read them with every row once; after a crash the "
        "files themselves may hold an evaluation twice, and the later row counts.\n\n"
        "This page is generated from `mollitune.search.store.schema`.\n"
    ]
    for table in dict.fromkeys(line[0] for line in describe()):
        rows = [(f"`{name}`", kind, text) for of, name, kind, text in describe() if of == table]
        parts.append(f"## {table}\n\n{markdown_table(('Column', 'Type', 'Meaning'), rows)}\n")
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """What each page with generated parts has to hold."""
    return {**{page: with_generated(page) for page in GENERATED}, TABLES: tables_page()}


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
