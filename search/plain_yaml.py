"""YAML as a config needs it: each key once, plain values, and no more than a person writes."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.constructor import ConstructorError
from yaml.nodes import CollectionNode

from mollitune._errors import MollituneError

MAX_BYTES = 2**18
MAX_VALUES = 10_000
"""Most values in a document, each counted as often as aliases repeat it."""
_MAX_INT = 2**63
# control characters, halves of surrogate pairs, and what other programs take for a line's end
_UNSAFE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def read_yaml(path: Path) -> Any:
    """Return the document of a YAML file.

    Raises:
        MollituneError: If the file cannot be read, is larger than 256 KiB, or `parse_yaml` refuses
            its text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MollituneError(f"{path}: cannot read the config ({reason})") from None
    if len(data) > MAX_BYTES:
        raise MollituneError(f"{path}: not a config: it is larger than {MAX_BYTES:,} bytes")
    try:
        return parse_yaml(data.decode("utf-8"))
    except ValueError as error:
        raise MollituneError(f"{path}: not valid YAML: {error}") from None


def parse_yaml(text: str) -> Any:
    """Return the one document of a YAML text as plain values.

    Raises:
        ValueError: If it is no YAML, names a type of Python, gives a key twice, holds a character
            that does not print or an integer of more than 64 bits, refers to itself, or has more
            than 10,000 values once its aliases are written out. The message is one line.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, set())
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except Exception as error:  # PyYAML passes on whatever int, float or datetime raise
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without what it lets pass silently."""

    def construct_text(self, node: ScalarNode) -> str:
        text = self.construct_scalar(node)
        if any(unicodedata.category(character) in _UNSAFE for character in text):
            raise _refusal("a text holds a character that does not print", node)
        return str(text)

    def construct_integer(self, node: ScalarNode) -> int:
        number = int(self.construct_yaml_int(node))
        if abs(number) >= _MAX_INT:
            raise _refusal("an integer has more than 64 bits", node)
        return number


_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_text)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


def _count(node: Node, known: dict[int, int], above: set[int]) -> int:
    """Return how many values a node has with its aliases written out.

    Args:
        node: Where to count.
        known: Counts of nodes that were seen before, by id: aliases share one node.
        above: Ids of the nodes that contain this one.
    """
    if not isinstance(node, CollectionNode):
        return 1
    if id(node) in known:
        return known[id(node)]
    if id(node) in above:
        raise _refusal("an alias refers to what contains it", node)
    if isinstance(node, MappingNode):
        _check_keys(node)
    inside = above | {id(node)}
    count = 1 + sum(_count(child, known, inside) for child in _children(node))
    if count > MAX_VALUES:
        raise _refusal(f"there are more than {MAX_VALUES:,} values", node)
    known[id(node)] = count
    return count


def _children(node: Node) -> list[Node]:
    if isinstance(node, SequenceNode):
        return list(node.value)
    return [part for pair in node.value for part in pair]


def _check_keys(node: MappingNode) -> None:
    seen: set[tuple[str, Hashable]] = set()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _refusal("a key is a list or a mapping", key)
        if (key.tag, key.value) in seen:
            raise _refusal(f"the key {key.value!r} stands twice", key)
        seen.add((key.tag, key.value))


def _refusal(problem: str, node: Node) -> ConstructorError:
    return ConstructorError(None, None, problem, node.start_mark)
