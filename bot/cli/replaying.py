"""A stored conversation as lines to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from bot.core import events as ev
from bot.core.events import Recorded

_HIDDEN = {"kind", "message", "text"}


def lines(history: Iterable[Recorded]) -> Iterator[str]:
    """One line an event: seq, time, turn and what happened."""
    for recorded in history:
        at = datetime.fromtimestamp(recorded.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        yield f"{recorded.seq:>5} {at} turn {recorded.turn:<3} {_said(recorded.event)}"


def _said(event: ev.Event) -> str:
    match event:
        case ev.Received(message=message):
            return f"USER  {message.text}"
        case ev.Replied(message=message):
            sources = "".join(f"  [source: {source.title}]" for source in message.sources)
            return f"BOT   {message.text or message.name}{sources}"
        case ev.Understood() as found:
            ranked = ", ".join(f"{item.name} {item.score:.2f}" for item in found.intents[:3])
            spans = ", ".join(f"{item.type}={item.value}" for item in found.entities)
            return f"understood: {ranked or 'nothing'}; in scope {found.in_scope:.2f}; {spans}".rstrip("; ")
        case ev.Retrieved(hits=hits, floor=floor):
            return f"retrieved (floor {floor:.2f}): " + ", ".join(f"{hit.document} {hit.score:.2f}" for hit in hits)
        case _:
            fields = event.model_dump(mode="json", exclude=_HIDDEN, exclude_defaults=True)
            return f"{event.kind}: " + ", ".join(f"{name}={value}" for name, value in fields.items())
