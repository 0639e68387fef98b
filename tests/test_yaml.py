"""Two parsers, one reading: the fast one gives the trees, lines and errors of the one in pure Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import ProjectError
from bot.yaml import Node, parse_slowly, parse_yaml

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").rglob("*.yml"))
TEXTS = {
    "nothing": "",
    "only a comment": "# later\n",
    "keys without values": "a:\n# why\n\nb: 1\nc:\n",
    "items without values": "- \n- b\n-\n",
    "a map in a line": "a: {b: 1, c: [x:y, http://a.b/c], d: }\n",
    "scalars of YAML 1.2": "[yes, No, on, true, ~, 0o7, 0x1F, 1_000, 1e3, .5, '1', null, -3, +4, 12:30]",
    "long texts": "a: |\n  one\n   two\n\nb: >-\n  one\n  two\nc: 'it''s'\nd: \"x\\ny\\\n  z\"\n",
    "anchors and merges": "a: &x {b: 1}\nc:\n  <<: *x\n  d: &y [1]\ne: *y\n",
    "keys that are asked": "? a\n: b\n? c\n",
    "tags of the core": "a: !!str 3\nb: !!int '3'\nc: ! x\n",
    "directives": "%YAML 1.2\n---\na: 1\n...\n",
    "Windows line ends": "a: 1\r\nb:\r\n- c\r\n",
    "a tab in a quoted text": "a: 'b\tc'\nd: e\n",
    "a strange line end in a text": "a: 'b\u2028c'\nd: e\n",
    "beyond the first plane": "a: 😀\nb: Ærø\n",
    "a key twice": "a: 1\nb: 2\na: 3\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "an alias to nothing": "a: *b\n",
    "a tag of a program": "a: !!python/name:os.system\n",
    "a list that stays open": "a: [1,\n  2\nb: 3\n",
    "a tab in the indentation": "a:\n\t- b\n",
    "two colons": "a: b: c\n",
    "half a pair": 'a: "\\ud83d"\n',
    "a quote that stays open": "a: 'b\nc: d\n",
    "a control character": "a: \x01\n",
    "an unknown escape": 'a: "\\q"\n',
}


def tree(node: Node) -> Any:
    """All that a node says."""
    value: Any = node.value
    if isinstance(value, dict):
        value = [(key, node.keys[key], tree(item)) for key, item in value.items()]
    elif isinstance(value, list):
        value = [tree(item) for item in value]
    return type(node.value).__name__, value, node.line, node.style, node.size, node.height


def outcome(read: Any, text: str) -> Any:
    """The tree, or the error with its place."""
    try:
        return tree(read(text, "domain.yml"))
    except ProjectError as error:
        return str(error), error.where


@pytest.mark.parametrize("name", TEXTS)
def test_both_parsers_read_the_same(name: str) -> None:
    assert outcome(parse_yaml, TEXTS[name]) == outcome(parse_slowly, TEXTS[name])


@pytest.mark.parametrize(
    ("text", "value"),
    [("a:\t\n- b\t\n", {"a": ["b"]}), ("a:\tb\t# c\n", {"a": "b"}), ("a: b\tc\n", {"a": "b\tc"})],
)
def test_tabs_beside_words_are_spaces(text: str, value: object) -> None:
    assert parse_yaml(text, "a.yml").plain() == value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_both_parsers_read_the_examples_alike(path: Path) -> None:
    text = path.read_text("utf-8")[:20_000]
    assert outcome(parse_yaml, text) == outcome(parse_slowly, text)


def test_a_key_without_a_value_stands_where_the_key_stands() -> None:
    assert parse_yaml("rest:\n  # comes later\n\nsocketio:\n  a: 1\n", "credentials.yml").map["rest"].line == 1
