"""The framing of Wyoming: a line of JSON, then as many bytes of JSON and of sound as it says.

The reader believes nothing: a header that is no object, lengths that are no numbers, negative or too large, bytes that
are not UTF-8, a line without end. Each is a `BrokenFrame`; after one nobody knows where the next event begins, so the
connection ends with an error event. Wyoming 1.10.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from bot.core.errors import InputError

VERSION = "1.10.0"
LINE_BYTES = 65_536
DATA_BYTES = 65_536
PAYLOAD_BYTES = 262_144
"""Eight seconds of sound at 16 kHz; peers send hundredths of a second."""


class BrokenFrame(InputError):
    """What came is no event."""

    code = "broken_frame"


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def read_event(reader: asyncio.StreamReader, seconds: float) -> Event | None:
    """The next event; None when the peer has closed. The rest of an event may take so many seconds to come.

    `reader` must have been made with a limit of `LINE_BYTES`.

    Raises:
        BrokenFrame: this is no event.
        ConnectionError: the peer is gone.
        TimeoutError: the rest did not come.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BrokenFrame("the last line has no end") from None
        return None
    except asyncio.LimitOverrunError:
        raise BrokenFrame(f"a header has at most {LINE_BYTES} bytes") from None
    header = _object(line, "header")
    kind = header.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= 100:
        raise BrokenFrame("a header needs `type`, the name of the event")
    lengths = _length(header, "data_length", DATA_BYTES), _length(header, "payload_length", PAYLOAD_BYTES)
    given = header.get("data") or {}
    if not isinstance(given, dict):
        raise BrokenFrame("`data` must be an object")
    try:
        async with asyncio.timeout(seconds):
            more = await reader.readexactly(lengths[0])
            payload = await reader.readexactly(lengths[1])
    except asyncio.IncompleteReadError:
        raise BrokenFrame("the event broke off") from None
    return Event(kind, {**given, **(_object(more, "data") if more else {})}, payload)


def frame(event: Event) -> bytes:
    """An event as bytes."""
    data = json.dumps(event.data, ensure_ascii=False).encode("utf-8", "replace") if event.data else b""
    header: dict[str, Any] = {"type": event.type, "version": VERSION}
    if data:
        header["data_length"] = len(data)
    if event.payload:
        header["payload_length"] = len(event.payload)
    return json.dumps(header).encode() + b"\n" + data + event.payload


def _object(raw: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise BrokenFrame(f"the {name} is no JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise BrokenFrame(f"the {name} is no JSON object")
    return found


def _length(header: dict[str, Any], name: str, most: int) -> int:
    value = header.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BrokenFrame(f"`{name}` must be a number from 0 to {most}")
    return value
