"""Rules for text that arrives from outside, as types: the same pattern validates a request and documents it.

A message must show something: at least one character that is neither space nor control. U+0000 is refused because
not every store can hold it. Names (senders, keys) hold printable characters only. Patterns spell their classes out, so
that every JSON Schema dialect reads them alike.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints

MESSAGE_CHARACTERS = 8_000
_BLANK = r"\x00-\x20\x7f-\xa0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
VISIBLE = rf"^[^\x00]*[^{_BLANK}][^\x00]*$"
_SHOWN = re.compile(rf"[^{_BLANK}]")
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

WORD = r"^[\x21-\x7e]+$"
WEB_ID = r"^web-[A-Za-z0-9_-]{22}$"
IN_WORDS = {
    VISIBLE: "must hold at least one visible character and no U+0000",
    PRINTABLE: "must hold printable characters only",
    WORD: "must hold visible ASCII characters only, no spaces",
    WEB_ID: "is not the id of a web conversation; POST /api/v1/conversations gives one",
}
"""What each pattern asks for."""

MessageText = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MESSAGE_CHARACTERS, pattern=VISIBLE),
    Field(description="What the user says. Not blank, no U+0000.", examples=["Where is my parcel?"]),
]
Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=255, pattern=PRINTABLE),
]
Key = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=128, pattern=WORD),
    Field(description="The client's own id of the message, unique in its conversation for ever.", examples=["m-1"]),
]
WebConversation = Annotated[
    str,
    StringConstraints(strict=True, pattern=WEB_ID),
    Field(description="Given by POST /api/v1/conversations. Whoever knows it can read the conversation."),
]


def visible(text: str) -> bool:
    """Whether a text may be a message: see `VISIBLE`."""
    return "\x00" not in text and _SHOWN.search(text) is not None
