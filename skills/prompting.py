"""What a generator of ours reads and writes: one text with marked parts, its values behind placeholders.

    <|user|>words<|bot|>words<|user|>words
    <|kb|>passage<|kb|>passage<|say|>approved text<|slots|>name is value<|tone|>warm<|reply|>

(on one line). The talk comes first and grows at its end, so that an engine that keeps what it read goes on from there.
It answers with a text and `<|end|>`, or with `<|abstain|>` when the passages do not hold the answer. The marks are
single tokens that text cannot spell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.core.protocols import Prompt
from skills.values import SLOTS, Values, placeholders

PAD, END, ABSTAIN, REPLY = "<|pad|>", "<|end|>", "<|abstain|>", "<|reply|>"
_KB, _SAY, _SLOTS, _TONE = "<|kb|>", "<|say|>", "<|slots|>", "<|tone|>"
_SPEAKER = {"user": "<|user|>", "bot": "<|bot|>"}
OF_A_TURN = (_KB, _SAY, _SLOTS, _TONE, REPLY)
"""What stands behind the talk: the first of these marks begins the part that belongs to one turn alone."""
_IN_TALK = SLOTS // 2
"""Values of a type that a talk may put behind placeholders: the others are for the passages, which may be repeated."""
MARKS = (PAD, END, ABSTAIN, REPLY, _KB, _SAY, _SLOTS, _TONE, *_SPEAKER.values())


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be said: from `passages` or an `approved` text, to the last of `talk`.

    `talk` holds pairs of a speaker, "user" or "bot", and words.
    """

    talk: Sequence[tuple[str, str]]
    passages: Sequence[str] = ()
    approved: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    tone: str = ""


def task_of(asked: Prompt) -> Task:
    """The task of a prompt: what it is served with is what it is trained on. An approved text that is one of the
    passages is not told twice."""
    approved = "" if asked.approved in asked.passages else asked.approved
    return Task(asked.talk, asked.passages, approved, asked.slots, asked.tone)


def prompt(task: Task, values: Values) -> str:
    """The text that a generator goes on from. `values` learns what is behind the placeholders."""
    parts = [talk(task.talk, values), *(_KB + values.hide(_plain(passage)) for passage in task.passages)]
    if task.approved:
        parts.append(_SAY + values.hide(_plain(task.approved)))
    if task.slots:
        known = "; ".join(f"{name.replace('_', ' ')} is {value}" for name, value in task.slots.items())
        parts.append(_SLOTS + values.hide(_plain(known)))
    if task.tone:
        parts.append(_TONE + task.tone)
    return "".join([*parts, REPLY])


def talk(turns: Sequence[tuple[str, str]], values: Values) -> str:
    """Turns as text, each behind its speaker's mark."""
    return "".join(_SPEAKER[speaker] + values.hide(_plain(words), _IN_TALK) for speaker, words in turns)


def special_tokens() -> tuple[str, ...]:
    """All single tokens that text cannot spell, in a fixed order."""
    return (*MARKS, *placeholders())


def _plain(text: str) -> str:
    """Without marks that somebody typed, on one line."""
    return " ".join(text.replace("<|", "< |").split())
