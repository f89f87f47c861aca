"""Every message of the command line and every heading of the report, in one text to read aloud.

It reads the source: raised errors, help, descriptions of keys and columns, and all other text of
more than one word that is no docstring, with ``{...}`` for what is filled in.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("search", "analysis", "models", "schedules", "src/mollitune")
_HELP = {"help", "description"}
_HEADINGS = {"card", "Cell", "sorter", "add_column", "Table"}
_SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;]? +\S*[A-Za-z]{2,}")


class Message(NamedTuple):
    """Some text that a person may read.

    Attributes:
        line: Where it begins in its file.
        kind: ``error``, ``help``, ``heading`` or ``text``.
        text: It, on one line.
    """

    line: int
    kind: str
    text: str


def messages(path: Path) -> list[Message]:
    """The messages in a file of Python or HTML, in their order."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        return list(_Texts(source).found)
    tree = ast.parse(source)
    return sorted({*_commands(tree), *_strings(tree, "text", _documentation(tree))})


def _strings(node: ast.AST, kind: str, skip: set[ast.AST]) -> Iterator[Message]:
    """Text below a node; what stands around it says of which kind it is."""
    if node in skip:
        return
    if isinstance(node, ast.Constant | ast.JoinedStr):
        text = _text(node)
        wanted = re.compile("[A-Za-z]") if kind == "heading" else _SENTENCE
        if "<" not in text and wanted.search(text):
            yield Message(node.lineno, kind, " ".join(text.split()))
        return
    if isinstance(node, ast.Raise):
        kind = "error"
    if isinstance(node, ast.keyword):
        kind = "help" if node.arg in _HELP else "text"
    if isinstance(node, ast.Subscript):  # a key is no text
        node = node.value
    name = _called(node)
    for child in ast.iter_child_nodes(node):
        yield from _strings(child, "heading" if name in _HEADINGS else kind, skip)


def _text(node: ast.AST) -> str:
    """A string as it is written, with braces around what is filled in; empty for no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return f"{{{ast.unparse(node.value)}}}" if isinstance(node, ast.FormattedValue) else ""


def _called(node: ast.AST) -> str:
    """The name of what a call calls, without what stands before its last dot."""
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def _documentation(tree: ast.Module) -> set[ast.AST]:
    """Strings that stand alone: docstrings, and those below an attribute."""
    alone = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {value for value in alone if isinstance(value, ast.Constant)}


def _commands(tree: ast.Module) -> Iterator[Message]:
    """What ``--help`` says of the commands: their docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(
            _called(decorator) == "command" for decorator in node.decorator_list
        ):
            text = " ".join((ast.get_docstring(node) or "").split())
            yield Message(node.lineno, "help", f"{node.name}: {text}")


class _Texts(HTMLParser):
    """Text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[Message] = []
        self.feed(source)

    def handle_data(self, data: str) -> None:
        if re.search("[A-Za-z]", data) and self.cdata_elem is None:
            self.found.append(Message(self.getpos()[0], "heading", " ".join(data.split())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="Folders or files; default: all.")
    for room in parser.parse_args().rooms:
        place = ROOT / room
        files = [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.html")]
        for path in sorted(files):
            found = messages(path)
            if found:
                print(f"\n== {path.relative_to(ROOT)}")
            for message in found:
                print(f"{message.line:>5} {message.kind}: {message.text}")


if __name__ == "__main__":
    main()
