"""What a person who takes over needs to know, from the conversation's state alone: no model, nothing made up."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.conversation import Conversation
from bot.core.program import Program

_MESSAGES = 3
"""How many of the user's latest messages are told."""
_LONGEST = 200
"""Characters of a message that are told."""


def summary(conversation: Conversation, program: Program) -> str:
    """A few lines: what was going on, what is known, what the user said last and what the bot answered."""
    return "\n".join(_lines(conversation, program))


def _lines(conversation: Conversation, program: Program) -> Iterator[str]:
    doing = [_doing(frame.flow, frame.slot, program) for frame in reversed(conversation.stack)]
    if doing:
        yield f"Going on: {'; '.join(doing)}"
    elif conversation.last_flow in program.flows:
        yield f"Done last: {program.flows[conversation.last_flow].name}"
    known = [f"{_words(name)} {value}" for name, value in conversation.slots.items() if _tells(name, value, program)]
    if known:
        yield f"Known: {'; '.join(known)}"
    if conversation.misses > 1:
        yield f"No answer found: {conversation.misses} times in a row"
    said = [words for speaker, words in conversation.history if speaker == "user" and words]
    yield from (f"Customer: {_short(words)}" for words in said[-_MESSAGES:])
    answered = [words for speaker, words in conversation.history if speaker == "bot" and words]
    yield from (f"Bot: {_short(words)}" for words in answered[-1:])


def _doing(flow: str, slot: str | None, program: Program) -> str:
    name = program.flows[flow].name if flow in program.flows else flow
    return f"{name}, asked for {_words(slot)}" if slot else name


def _tells(name: str, value: object, program: Program) -> bool:
    """Whether a slot's value is worth a word: one that somebody set, and no bookkeeping of the script's."""
    return value not in (None, [], "") and name in program.slots and value != program.initial_slots.get(name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
