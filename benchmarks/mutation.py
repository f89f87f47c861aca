"""Small changes of Python code, each known by where it is made and what it does."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

PAIRS = (
    "Lt LtE, LtE Lt, Gt GtE, GtE Gt, Eq NotEq, NotEq Eq, Is IsNot, IsNot Is, In NotIn, NotIn In, "
    "And Or, Or And, Add Sub, Sub Add, Mult Div, Div Mult, FloorDiv Mult, Mod Mult, Pow Mult, "
    "BitAnd BitOr, BitOr BitAnd"
)
SWAPS = {getattr(ast, a): getattr(ast, b) for a, b in map(str.split, PAIRS.split(", "))}
SKIPPED = {"annotation", "returns", "decorator_list", "bases"}

Apply = Callable[[], object]


class Mutation(NamedTuple):
    """A change of one statement.

    Arguments:
        own: Names it on any version of the code: function or class, the statement without its
            body, number among equal statements there, the change, number among equal changes.
        line: Line of the statement.
        make: Returns the text of the whole file with this change; to be called once, and before
            the next one is drawn.
    """

    own: list[str | int]
    line: int
    make: Callable[[], str]


def mutations(path: Path) -> Iterator[Mutation]:
    """Yield all changes of a file in their order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    heads: Counter[tuple[str, str]] = Counter()
    for scope, block, statement in _statements(tree, ""):
        head = _head(statement)
        number = heads[scope, head]
        heads[scope, head] += 1
        names: Counter[str] = Counter()
        for name, apply in _changes(statement, block, scope):
            make = partial(_made, tree, apply)
            yield Mutation([scope, head, number, name, names[name]], statement.lineno, make)
            names[name] += 1


def mutated(path: Path, own: list[str | int]) -> str:
    """Return the text of a file with one change.

    Raises:
        StopIteration: If there is no such change.
    """
    return next(mutation for mutation in mutations(path) if mutation.own == own).make()


def _made(tree: ast.Module, apply: Apply) -> str:
    apply()
    return ast.unparse(tree)


def _statements(node: ast.AST, scope: str) -> Iterator[tuple[str, list[ast.stmt], ast.stmt]]:
    """Yield scope, block and statement of all that lies below a node."""
    for _, block in ast.iter_fields(node):
        for child in block if isinstance(block, list) else []:
            if isinstance(child, ast.stmt):
                yield scope, block, child
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                yield from _statements(child, f"{scope}.{child.name}".strip("."))
            elif isinstance(child, ast.stmt | ast.ExceptHandler):
                yield from _statements(child, scope)


def _head(statement: ast.stmt) -> str:
    if isinstance(statement, ast.FunctionDef):
        return f"def {statement.name}({ast.unparse(statement.args)})"
    if not hasattr(statement, "body"):
        return ast.unparse(statement)
    parts = [item.context_expr for item in getattr(statement, "items", [])]
    if not isinstance(statement, ast.ClassDef):
        parts += [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.expr)]
    return f"{type(statement).__name__} {', '.join(map(ast.unparse, parts))}"


def _changes(
    statement: ast.stmt, block: list[ast.stmt], scope: str
) -> Iterator[tuple[str, Apply]]:
    """Yield what is done to a statement, and how; nothing to errors, names and annotations."""
    if isinstance(statement, ast.Raise) or "__all__" in _head(statement):
        return
    for node in _inside(statement):
        yield from _of_expression(node, scope)
    if isinstance(statement, ast.Return) and ast.unparse(statement) not in (
        "return",
        "return None",
    ):
        yield "return None", partial(setattr, statement, "value", ast.Constant(None))
    elif isinstance(statement, ast.Continue | ast.Break):
        at = next(i for i, other in enumerate(block) if other is statement)
        yield "removed", partial(block.__setitem__, at, ast.Pass())
    elif isinstance(statement, ast.If) and statement.orelse:
        yield "if and else swapped", _swapped(statement)


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and the expressions below it, but for f-strings, which are texts."""
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            texts = isinstance(child, ast.stmt | ast.ExceptHandler | ast.JoinedStr)
            if isinstance(child, ast.AST) and name not in SKIPPED and not texts:
                yield from _inside(child)


def _of_expression(node: ast.AST, scope: str) -> Iterator[tuple[str, Apply]]:
    for op, put in _operators(node):
        other = SWAPS.get(type(op))
        # outside of functions | joins types
        if other is not None and (scope or not isinstance(op, ast.BitOr)):
            text = f"{type(op).__name__} to {other.__name__} in {ast.unparse(node)}"
            yield text, partial(put, other())
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        old = node.value
        for new in [not old] if isinstance(old, bool) else [old + 1, old - 1]:
            yield f"{old!r} to {new!r}", partial(setattr, node, "value", new)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        twice = ast.UnaryOp(ast.Not(), node.operand)
        yield f"without: {ast.unparse(node)}", partial(setattr, node, "operand", twice)
    elif isinstance(node, ast.IfExp):
        yield f"swapped: {ast.unparse(node)}", _swapped(node)


def _operators(node: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], object]]]:
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            yield op, partial(list.__setitem__, node.ops, at)
    elif isinstance(node, ast.BinOp | ast.BoolOp):
        yield node.op, partial(setattr, node, "op")


def _swapped(node: ast.If | ast.IfExp) -> Apply:
    return partial(node.__dict__.update, body=node.orelse, orelse=node.body)
