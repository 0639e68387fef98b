"""What turns run on: the models in use, as one value, and how long each may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation
from bot.core.messages import Part
from bot.core.program import Program
from bot.core.protocols import (
    ActionServer,
    Hits,
    Query,
    Ranked,
    Situation,
    Understanding,
    Utterance,
    Wording,
)
from bot.core.speech import Heard

Show = Callable[[str], None]
"""Shows the beginning of an answer while it is being worded."""
Wordsmith = Callable[[st.Generate, Conversation, Show], Awaitable[ev.Generated]]


@dataclass(frozen=True)
class Models:
    """All that answers depend on, as one value: a turn uses the same one from its beginning to its end.

    `bundle` is the model bundle's id. Without `retrieve` nothing is ever found; without `actions` custom actions fail.
    `word` words responses; when it fails, or gives none, they are said in the program's own words. `rank` ranks the
    actions of a script; when it fails, or is not sure, the script's fallback is done. `generate` words answers of the
    knowledge base; when it fails, they are said as approved. `transcribe` tells what is said in the sound with that
    sha256; without it a message that is only sound fails.
    """

    bundle: str
    program: Program
    understand: Callable[[Utterance], Awaitable[Understanding]]
    retrieve: Callable[[Query], Awaitable[Hits]] | None = None
    actions: ActionServer | None = None
    word: Callable[[Wording], Awaitable[tuple[Part, ...] | None]] | None = None
    rank: Callable[[Situation], Awaitable[Ranked]] | None = None
    generate: Wordsmith | None = None
    transcribe: Callable[[str], Awaitable[Heard]] | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a step may take, in seconds."""

    understand: float = 2.0
    retrieve: float = 2.0
    action: float = 10.0
    word: float = 2.0
    rank: float = 2.0
    transcribe: float = 30.0
