"""Checks the nodes of a text in YAML, which are as many as the text has, before values are made of them."""

from collections.abc import Iterable
from typing import Any

import yaml

from tfdl.errors import UserError

MOST_VALUES = 20_000
"""Values of a configuration, each counted as often as it is repeated by an alias."""
_LONGEST_NUMBER = 400
# YAML's numbers, which may be written in base 60, take a time that grows with the square of their length.
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MARK = "expected a configuration"


def check_nodes(root: yaml.Node, where: str) -> None:
    """Refuses what is valid YAML, and is a mistake or an attack in a configuration.

    Args:
        root: the node of the whole text.
        where: what the text is, for the message.

    Raises:
        UserError: a key that a mapping has twice, a value that contains itself, aliases that repeat values too often,
            or a number of very many digits.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    # Without recursion: the depth of the nodes is the text's choice. A node is seen twice, before and after its parts.
    stack: list[tuple[yaml.Node, bool]] = [(root, False)]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            open_nodes.remove(id(node))
            sizes[id(node)] = _size(node, sizes, where)
        elif id(node) in open_nodes:
            raise UserError(f"{where} has a value that contains itself{_place(node)}, {_MARK}")
        elif id(node) not in sizes:
            _check_alone(node, where)
            open_nodes.add(id(node))
            stack.append((node, True))
            stack.extend((part, False) for part in _parts(node))


def _check_alone(node: yaml.Node, where: str) -> None:
    if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        raise UserError(f"{where} has a number of {len(node.value):,} characters{_place(node)}, {_MARK}")
    if isinstance(node, yaml.MappingNode):
        known = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in known:
                raise UserError(
                    f"{where} has the key {key.value!r} twice{_place(key)}, expected each key once; leave one out"
                )
            known.add((key.tag, key.value))


def _size(node: yaml.Node, sizes: dict[int, int], where: str) -> int:
    """The number of values that a node becomes, with its own; its parts are counted already."""
    size = 1 + sum(sizes[id(part)] for part in _parts(node))
    if size > MOST_VALUES:
        raise UserError(f"{where} has more than {MOST_VALUES:,} values{_place(node)}, {_MARK}")
    return size


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _place(node: Any) -> str:
    return f" in line {node.start_mark.line + 1}"
