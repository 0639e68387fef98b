"""The `responses:` section: what the bot says, in variations."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from bot.core.program import Button, SlotEquals, Variation
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, describe

_CONTENT = ("text", "image", "custom", "attachment", "buttons", "quick_replies", "elements")


def read_responses(section: Node, problems: Problems) -> dict[str, tuple[tuple[Variation, ...], str]]:
    """Each response with its variations and its place."""
    found: dict[str, tuple[tuple[Variation, ...], str]] = {}
    if not isinstance(section.value, dict):
        problems.error(f"`responses` must be a map of names, found {describe(section)}", section.where)
    for name, node in section.map.items():
        where = section.where_key(name)
        if not name.startswith("utter_"):
            problems.warn(
                f"response {name!r}: its name does not begin with `utter_`; only custom actions can say it", where
            )
        if not node.items:
            message = f"response {name!r}: expected a list of variations such as `- text: Hello`"
            problems.error(f"{message}, found {describe(node) if node.value != [] else 'an empty list'}", where)
        found[name] = (tuple(_variation(item, name, problems) for item in node.items), where)
    return found


def _variation(node: Node, name: str, problems: Problems) -> Variation:
    with Fields(node, problems, f"response {name!r}") as fields:
        values: dict[str, Any] = {key: fields.text(key) or None for key in ("text", "image", "channel", "id")}
        fields.known("button_type")
        values["custom"] = fields.json_map("custom")
        values["attachment"] = _attachment(fields)
        values["metadata"] = fields.json_map("metadata") or {}
        for key in ("buttons", "quick_replies"):
            values[key] = tuple(_button(item, name, problems) for item in fields.items(key))
        values["elements"] = tuple(_element(item, fields) for item in fields.items("elements"))
        values["conditions"] = tuple(_condition(item, name, problems) for item in fields.items("condition"))
        if isinstance(node.value, dict) and not any(key in node.map and node.map[key].value for key in _CONTENT):
            problems.warn(
                f"{fields.what}: a variation says nothing; add `text` (or {', '.join(_CONTENT[1:])})", node.where
            )
    return Variation(**values)


def _attachment(fields: Fields) -> dict[str, JsonValue] | str | None:
    node = fields.get("attachment")
    return fields.text("attachment") if node and isinstance(node.value, str) else fields.json_map("attachment")


def _element(node: Node, fields: Fields) -> dict[str, JsonValue]:
    if not isinstance(node.value, dict):
        fields.error(f"{fields.what}: an element must be a map, found {describe(node)}", node.where)
    return {key: value.plain() for key, value in node.map.items()}


def _button(node: Node, name: str, problems: Problems) -> Button:
    with Fields(node, problems, f"a button of response {name!r}") as fields:
        title = fields.required("title")
        fields.known("type", "content_type", "image_url", "url")
        payload = fields.text("payload") or fields.text("url") or title
    return Button(title=title, payload=payload)


def _condition(node: Node, name: str, problems: Problems) -> SlotEquals:
    with Fields(node, problems, f"a condition of response {name!r}") as fields:
        fields.choice("type", ("slot",), "slot")
        return SlotEquals(slot=fields.required("name"), value=fields.json("value"))
