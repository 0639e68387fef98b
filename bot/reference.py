"""docs/settings.md, written from the settings themselves: `python -m bot.reference > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bot.config import PREFIX, Settings

_HEAD = """\
# Settings

Written from `bot/config.py` and `bot/sections.py` by `python -m bot.reference > docs/settings.md`; do not edit by hand.

All settings stand in `bot.yml` in the project folder, and everything has a default. A variable of the environment wins
over the file: `BOT_` and the key in capitals, `__` between levels, as in `BOT_SERVER__PORT=8080`. Languages and
knowledge are separated by commas, other lists and maps are written as JSON. A secret may come from a file instead:
`BOT_SERVER__TOKEN_FILE=/run/secrets/token`. Unknown keys and variables are refused, with the nearest known name.
"""
_RANGES = (("ge", "≥ {}"), ("gt", "> {}"), ("le", "≤ {}"), ("lt", "< {}"), ("min_length", "at least {} long"))


def settings_reference() -> str:
    """The page, in Markdown."""
    top = [item for item in Settings.model_fields.items() if _section(item[1]) is None]
    lines = [_HEAD, *_table("", top)]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is not None:
            lines += ["", f"## `{name}`", "", field.description or "", "", *_table(name, _flat(section))]
    return "\n".join(lines) + "\n"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _flat(section: type[BaseModel], prefix: str = "") -> list[tuple[str, FieldInfo]]:
    """The fields of a section, those of sections inside it by dotted names."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in section.model_fields.items():
        inner = _section(field)
        found += _flat(inner, f"{prefix}{name}.") if inner else [(prefix + name, field)]
    return found


def _table(section: str, fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    yield "| key | meaning | default | variable |"
    yield "| --- | --- | --- | --- |"
    for name, field in fields:
        full = f"{section}.{name}" if section else name
        if full != "behaviour.languages":
            variable = PREFIX + full.replace(".", "__").upper() + ("_FILE" if _secret(field) else "")
            yield f"| `{name}` | {_meaning(field)} | {_default(field)} | `{variable}` |"


def _secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))


def _meaning(field: FieldInfo) -> str:
    limits = [text.format(value) for key, text in _RANGES if (value := _limit(field, key)) is not None]
    words = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"{words} ({', '.join(limits)})" if limits else words


def _limit(field: FieldInfo, key: str) -> Any:
    return next((getattr(item, key) for item in field.metadata if getattr(item, key, None) is not None), None)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
