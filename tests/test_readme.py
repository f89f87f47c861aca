"""Every table, link and config of the documentation is checked; its commands are run beside.

The tables of the documentation are generated: ``python tests/test_readme.py`` writes them anew.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mollitune.models import models, preset, presets
from mollitune.search.config import ModelConfig, SearchConfig, load_config
from mollitune.search.policy.rules import rule, rules
from mollitune.search.store.schema import describe

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODELS = ROOT / "docs" / "models.md"
TABLES = ROOT / "docs" / "tables.md"
REFRESH = "outdated; write it anew with: .venv/bin/python tests/test_readme.py"


# ---------------------------------------------------------------- the generated parts


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
            rows += key_rows(type(field.default), f"{name}.")
            continue
        default = "required" if field.is_required() else f"`{shown_default(field)}`"
        rows.append((f"`{prefix}{name}`", default, field.description or ""))
    return rows


def shown_default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, list):
        return f"[{', '.join(family.family for family in value)}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "null" if value is None else str(value)


def key_table(section: type[BaseModel]) -> str:
    return markdown_table(("Key", "Default", "Meaning"), key_rows(section))


SIDES = (8, 28, 32, 64)


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


def refresh() -> None:
    for page in GENERATED:
        page.write_text(with_generated(page), encoding="utf-8")
    TABLES.parent.mkdir(exist_ok=True)
    TABLES.write_text(tables_page(), encoding="utf-8")


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_tables_are_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == with_generated(page), REFRESH


def test_the_page_of_result_tables_is_that_of_the_schema() -> None:
    assert TABLES.read_text(encoding="utf-8") == tables_page(), REFRESH


# ---------------------------------------------------------------- reading the README


def blocks(language: str, page: Path = README) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.strip()]


def test_every_block_has_a_language_that_is_checked() -> None:
    fences = re.findall(r"^```(.*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences[::2]) == {"console", "python", "yaml", "text"}
    assert set(fences[1::2]) == {""}
    assert len(blocks("text")) == 2  # the output of one real search and of its confirmation


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"),
        *("docs/models.md", "docs/fid.md", "docs/policy.md", "docs/analysis.md"),
        *("docs/clusters.md", "docs/production.md", "docs/report.md", "docs/speed.md"),
    ],
)
def test_relative_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in t]
    missing = [t for t in targets if not ((ROOT / page).parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("snippet", blocks("yaml") + blocks("yaml", MODELS))
def test_yaml_snippet_is_a_config(snippet: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(snippet, encoding="utf-8")
    load_config(file)


if __name__ == "__main__":
    refresh()
