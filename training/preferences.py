"""Thumbs as examples: answers that were liked and disliked, in the form that TRL's KTO trainer takes.

    bot preferences rows.jsonl      {"prompt": ..., "completion": ..., "label": true}

For models of the hub, whose owner trains them with TRL (docs/generator.md); a small model learns from what is kept by
the filter of `training.wording` instead. A thumb judges an answer as it was shown, so unlike there the answer is not
cut; but a liked one that says what its passages do not is left out, as it was liked for what nobody can check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

from bot.core import events as ev
from bot.core.protocols import Retriever
from skills.support import unsupported
from training.rows import Row
from training.styles import Style
from training.wording import at_hand, judged_answers


class Preference(TypedDict):
    """A row for a trainer: `label` is whether the answer was liked."""

    prompt: str
    completion: str
    label: bool


def preferences(history: Sequence[ev.Recorded], retriever: Retriever) -> Iterator[tuple[Row, bool]]:
    """The judged answers of a cleared log (see `training.consent`) with what was at hand, and whether they were
    liked."""
    judged = list(judged_answers(history))
    rows = at_hand([reply for reply, _ in judged], history, retriever)
    for row, (_, liked) in zip(rows, judged, strict=True):
        if row.passages and not (liked and unsupported(row.reply, row.passages)):
            yield row, liked


def as_rows(style: Style, judged: Sequence[tuple[Row, bool]]) -> list[Preference]:
    """In the form of prompts of a model."""
    found = []
    for row, liked in judged:
        if (asked := style.asked(row)) is not None:
            found.append(Preference(prompt=asked.sample.given, completion=asked.sample.learned, label=liked))
    return found
