"""Frames that no peer should send: what one sends, mutated, and never the same twice for another seed."""

from __future__ import annotations

import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), 10**400, "", "x" * 300, "\x00", "\ud800", [], {}, [[]], "5", "audio/pcm",
    -(2**63), "%%%", "AAA", {"type": "message"}, "9" * 4_301,
)  # fmt: skip

NO_FRAMES = (
    "[" * 3_000, "nonsense", "", "null", "[]", '{"type":', '{"a":1,"a":2}', "\u202e{}", "1" * 5_000,
)  # fmt: skip


def mutated(frame: Any, dice: random.Random) -> str | bytes:
    """One frame, spoilt in one to three places, as text or as bytes."""
    way = dice.random()
    if way < 0.05:
        return dice.randbytes(dice.randrange(0, 700))
    if way < 0.10:
        return dice.choice(NO_FRAMES)
    if way < 0.15:
        return b"" if dice.random() < 0.5 else b"x"
    spoilt = json.loads(json.dumps(frame))
    for _ in range(dice.randrange(1, 4)):
        spoilt = _spoil(spoilt, dice)
    text = json.dumps(spoilt)
    if way < 0.25 and text:
        place = dice.randrange(len(text))
        text = text[:place] + chr(dice.randrange(32, 0x2FF)) + text[place + dice.randrange(0, 4) :]
    return text


def _spoil(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        if dice.random() < 0.2:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _spoil(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.7:
        place = dice.randrange(len(value))
        return [*value[:place], _spoil(value[place], dice), *value[place + 1 :]]
    return dice.choice(ODD)
