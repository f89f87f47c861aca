"""How is a checkout built? Sizes, rooms, arrows and circles out of its imports, as one table.

A room is what lies directly in a package: a folder, or a file by itself; its `__init__` is a face
and no room. An arrow says that one room imports another, also inside a function. Floors are the
rooms, or files, on the longest way along the arrows, a circle counted as one.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("schedules", "models", "search", "analysis")
Graph = dict[str, set[str]]
Import = tuple[str, str, str]


def imports(name: str, path: Path, files: dict[str, Path]) -> Iterator[Import]:
    """Yield module and name of all that a file imports, and the file that this reads, or ''."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                module, what = alias.name, ""
                if isinstance(node, ast.ImportFrom):
                    base = package[: len(package) - node.level + 1] if node.level else []
                    module, what = ".".join([*base, *filter(None, [node.module])]), alias.name
                module = module.removeprefix("mollitune.")
                inner = f"{module}.{what}"
                yield module, what, inner if inner in files else module if module in files else ""


def circles(graph: Graph) -> list[list[str]]:
    """Groups of two or more that all lead to each other."""
    reach = {name: set(others) for name, others in graph.items()}
    for middle in graph:
        for found in reach.values():
            if middle in found:
                found |= reach[middle]
    groups = {tuple(sorted(m for m in reach[n] if n in reach[m])) for n in graph if n in reach[n]}
    return [list(group) for group in sorted(groups)]


def floors(graph: Graph) -> int:
    """Length of the longest way, in nodes."""
    one = {name: group[0] for group in circles(graph) for name in group}
    merged: Graph = {one.get(name, name): set() for name in graph}
    for name, others in graph.items():
        me = one.get(name, name)
        merged[me] |= {one.get(other, other) for other in others} - {me}
    height: dict[str, int] = {}
    while len(height) < len(merged):
        for name, others in merged.items():
            if others <= height.keys():
                height[name] = 1 + max((height[other] for other in others), default=0)
    return max(height.values(), default=0)


def table(root: Path) -> Iterator[tuple[str, object]]:
    """Yield the lines of the table."""
    inner = [path.relative_to(root) for p in PACKAGES for path in sorted((root / p).rglob("*.py"))]
    names = (".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in inner)
    files = {name: root / path for name, path in zip(names, inner, strict=True)}
    found = {name: list(imports(name, path, files)) for name, path in files.items()}
    sources = [*files.values(), *(root / "src" / "mollitune").glob("*.py")]
    tests = [*(root / "tests").rglob("*.py"), root / "conftest.py"]
    of_sources, of_tests = _count(sources, "\n"), _count(tests, "\n")
    for package in PACKAGES:
        paths = [path for name, path in files.items() if name.split(".")[0] == package]
        lines = _count(paths, "\n")
        yield f"{package}: files, lines", f"{len(paths)}, {lines:,}"
    yield "source, all: files, lines", f"{len(sources)}, {of_sources:,}"
    yield "tests: files, lines", f"{len(tests)}, {of_tests:,}"
    yield "lines of tests per line of source", f"{of_tests / of_sources:.3f}"
    yield "noqa: source", _count(sources, "# noqa")
    yield "noqa: tests", _count(tests, "# noqa")
    with_ray = {n for n in found for module, *_ in found[n] if module.split(".")[0] == "ray"}
    yield "files with Ray outside search/tune", sum(".tune." not in f"{n}." for n in with_ray)
    private = [
        name
        for name in found
        for module, what, target in found[name]
        if target and files[target].parent != files[name].parent
        if any(part.startswith("_") for part in [*module.split("."), what])
    ]
    yield "private imports from another folder", len(private)
    plain = {name for name in files if files[name].stem != "__init__"}
    needs = {name: {target for *_, target in found[name]} & plain - {name} for name in plain}
    groups = circles(needs)
    named = "; ".join(", ".join(group) for group in groups)
    yield "circles of files", f"{len(groups)}{f' ({named})' if named else ''}"
    for package in ("search", "analysis"):
        own = {name for name in files if name.startswith(f"{package}.")}
        rooms: Graph = {_room(name): set() for name in own}
        for name in own:
            others = {_room(target) for *_, target in found[name] if target in own}
            rooms[_room(name)] |= others - {_room(name)}
        arrows = sum(map(len, rooms.values()))
        yield f"{package}: rooms, arrows", f"{len(rooms)}, {arrows}"
        yield f"{package}: floors and circles of rooms", f"{floors(rooms)}, {len(circles(rooms))}"
        yield f"{package}: floors of files", floors({n: needs[n] & own for n in own & plain})


def _room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _count(paths: list[Path], text: str) -> int:
    return sum(path.read_text(encoding="utf-8").count(text) for path in paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path, help="checkouts, one column each")
    roots = [root.resolve() for root in parser.parse_args().roots]
    columns = [dict(table(root)) for root in roots]
    print("| | " + " | ".join(root.name for root in roots) + " |")
    print("|---|" + "---|" * len(roots))
    for what in columns[0]:
        print(f"| {what} | " + " | ".join(str(column[what]) for column in columns) + " |")


if __name__ == "__main__":
    main()
