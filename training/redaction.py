"""Words that a reviewer marked as private are gone from all that is learned from, wherever the conversation says them.

They stay in the log itself; what must leave the log is erased (`bot erase`). Hidden words are replaced by blocks of the
same length, so that offsets stay right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pydantic import JsonValue, TypeAdapter

from bot.core.events import Corrected, Event, Received, Recorded, Transcribed

BLOCK = "\u2588"
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def redacted(history: Sequence[Recorded]) -> list[Recorded]:
    """The facts of a log with the hidden words replaced in every text of their conversation."""
    words = _hidden(history)
    patterns = {name: re.compile("|".join(map(re.escape, found)), re.IGNORECASE) for name, found in words.items()}
    return [_without(item, patterns[item.conversation]) if item.conversation in patterns else item for item in history]


def _hidden(history: Iterable[Recorded]) -> dict[str, list[str]]:
    """The hidden words of each conversation, the longest first; marks that were taken back do not count."""
    texts: dict[tuple[str, int], str] = {}
    marks: dict[tuple[str, int, str], set[str]] = {}
    for recorded in history:
        event = recorded.event
        if isinstance(event, Received | Transcribed):
            said = event.message.text if isinstance(event, Received) else event.text
            texts[recorded.conversation, recorded.turn] = said
        elif isinstance(event, Corrected):
            place = recorded.conversation, event.target, event.by
            text = texts.get(place[:2], "")
            found = {text[start:end].strip() for start, end in event.hidden} - {""}
            marks[place] = set() if event.withdrawn else marks.get(place, set()) | found
    by_talk: dict[str, set[str]] = {}
    for (conversation, _, _), found in marks.items():
        by_talk.setdefault(conversation, set()).update(found)
    return {name: sorted(found, key=len, reverse=True) for name, found in by_talk.items() if found}


def _without(recorded: Recorded, pattern: re.Pattern[str]) -> Recorded:
    plain = recorded.event.model_dump(mode="json")
    changed = _blocked(plain, pattern)
    if changed == plain:
        return recorded
    return recorded.model_copy(update={"event": _EVENT.validate_python(changed)})


def _blocked(value: JsonValue, pattern: re.Pattern[str]) -> JsonValue:
    """All texts in the value with blocks; names are kept."""
    if isinstance(value, str):
        return pattern.sub(lambda found: BLOCK * len(found[0]), value)
    if isinstance(value, list):
        return [_blocked(item, pattern) for item in value]
    if isinstance(value, dict):
        named = {key for key, item in value.items() if key in _NAMES and isinstance(item, str)}
        return {key: item if key in named else _blocked(item, pattern) for key, item in value.items()}
    return value


_NAMES = frozenset(
    ("id", "kind", "source", "name", "type", "extractor", "bundle", "channel", "sender", "key", "intent", "action",
     "policy", "flow", "step", "program", "by", "outcome", "language", "message", "target", "index", "chunk")
)  # fmt: skip
"""Fields that hold names, not words that somebody said."""
