"""Every table, link and config of the documentation is checked; its commands are run beside."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from mollitune.search.config import load_config

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODELS = ROOT / "docs" / "models.md"
PYTHON = ROOT / "docs" / "python.md"


def test_generated_tables_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "benchmarks" / "doc_tables.py"))["pages"]()
    outdated = [page.name for page, text in pages.items() if page.read_text("utf-8") != text]
    assert not outdated, "write them anew with: .venv/bin/python benchmarks/doc_tables.py"


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
        *("docs/verdict.md", "docs/storage.md", "docs/glossary.md", "docs/python.md"),
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
