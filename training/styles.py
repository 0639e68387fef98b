"""A row of the log as text for one kind of model: what is given, what is to be learned, what it may write.

The text is what the model is given when it serves (`skills.generator_formats`), so it learns from what it will see. In
our own format values are behind placeholders; a reply with a value that its prompt does not hold is no row: it would
teach to make one up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.core.protocols import Prompt
from skills import prompting
from skills.decoder import Choose, greedy
from skills.generator_formats import ChatFormat, OwnFormat, find_format
from skills.local_generator import load_tokenizer
from skills.remote_prompt import ABSTAIN
from skills.values import Values
from training.generator import Sample
from training.privacy import natural
from training.rows import Row

Turns = Sequence[tuple[str, str]]
"""Pairs of a speaker, "user" or "bot", and words."""
_APART = "\u241e"
"""Between texts of a row while made-up values are put into all of them: one value is the same in all."""
_ROOM = 1 << 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A row as text. `choose` is how the model's next token is chosen; `values` are behind the placeholders."""

    row: Row
    sample: Sample
    choose: Choose
    values: Values | None = None


class Style(Protocol):
    """Makes text of rows, and shows what was written. `ends` are the tokens that end a text."""

    ends: frozenset[int]

    def asked(self, row: Row) -> Asked | None:
        """The row as text; None if it cannot be said in this style."""
        ...

    def shown(self, asked: Asked, written: str) -> str:
        """What a customer would see of a written text; "" if the model would rather say nothing."""
        ...

    def talk(self, turns: Turns) -> Sample:
        """Talk without a task, all of it to be known."""
        ...


def prompt_of(row: Row, approved: str = "", tone: str = "") -> tuple[Prompt, str]:
    """The prompt that a bot would have given for a row, and the reply; made-up values for what was masked."""
    speakers = [speaker for speaker, _ in row.talk]
    plain = natural(_APART.join([*(words for _, words in row.talk), row.reply])).text.split(_APART)
    talk = tuple(zip(speakers, plain[:-1], strict=True))
    return Prompt(talk=talk, passages=row.passages, approved=approved, tone=tone), plain[-1]


class MarkedStyle:
    """The form of `skills.prompting`. The approved text is one of the passages, so it is not told again."""

    def __init__(self, form: OwnFormat, tone: str = "") -> None:
        self._form, self._tone, self.ends = form, tone, form.ends

    def asked(self, row: Row) -> Asked | None:
        wanted, reply = prompt_of(row, tone=self._tone)
        values = Values()
        given = prompting.prompt(prompting.task_of(wanted), values)
        known = values.placeholders
        learned = values.hide(reply) if reply else prompting.ABSTAIN
        if values.placeholders != known:
            return None
        choose = self._form.reading(wanted, _ROOM).constrained(greedy)
        return Asked(row, Sample(given, learned + self._form.end), choose, values)

    def shown(self, asked: Asked, written: str) -> str:
        assert asked.values is not None
        return "" if prompting.ABSTAIN in written else asked.values.show(written).strip()

    def talk(self, turns: Turns) -> Sample:
        return Sample("", prompting.talk(turns, Values()) + self._form.end)


class ChatStyle:
    """A chat template."""

    def __init__(self, form: ChatFormat, tone: str = "") -> None:
        self._form, self._tone, self.ends = form, tone, form.ends

    def asked(self, row: Row) -> Asked | None:
        wanted, reply = prompt_of(row, row.passages[0] if row.reply else "", self._tone)
        choose = self._form.reading(wanted, _ROOM).constrained(greedy)
        return Asked(row, Sample(self._form.text(wanted), (reply or ABSTAIN) + self._form.end), choose)

    def shown(self, asked: Asked, written: str) -> str:
        return "" if ABSTAIN in written else written.strip()

    def talk(self, turns: Turns) -> Sample:
        return Sample("", self._form.text(Prompt(talk=tuple(turns))))


def style_of(folder: Path, tone: str = "") -> Style:
    """The style that the model of a folder is asked in.

    Raises:
        InputError: it has neither our marks nor a chat template.
    """
    with tempfile.TemporaryDirectory() as temporary:
        form = find_format(folder, load_tokenizer(folder, Path(temporary) / "tokenizer.json"))
    return MarkedStyle(form, tone) if isinstance(form, OwnFormat) else ChatStyle(_chat(form), tone)


def _chat(form: object) -> ChatFormat:
    assert isinstance(form, ChatFormat)
    return form


def all_asked(style: Style, rows: Sequence[Row]) -> list[Asked]:
    """The rows that can be said in a style."""
    return [asked for row in rows if (asked := style.asked(row)) is not None]
