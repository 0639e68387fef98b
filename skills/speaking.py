"""The chain that every sentence of a generator goes through before anybody sees it. Pure; the first refusal counts.

A sentence is checked against the texts that it may rest on: passages, the approved answer, known slots. Each check is a
function of sentence and sources; the learned scorer comes last, since it costs most. What passes is cited: the passage
that shares most with it is its source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bot.core.sentences import cut
from skills.support import stem, unsupported

_WORD = re.compile(r"\w+")

Judge = Callable[[str, Sequence[str]], str]
"""Given a sentence and its sources: what is wrong with it, "" if nothing is."""


Warm = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a sentence: the checks that passed, and the one that did not with what it found."""

    passed: tuple[str, ...]
    refused: str = ""
    detail: str = ""
    source: int = 0


class Chain:
    """Named judges in their order. `warm` reads the sources before the first sentence is there."""

    def __init__(
        self, judges: Sequence[tuple[str, Judge]], warm: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        self._judges, self._warm = tuple(judges), warm

    def warm(self, sources: Sequence[str]) -> None:
        """Prepare for sentences that rest on these sources."""
        if self._warm is not None:
            self._warm(sources)

    def check(self, sentence: str, sources: Sequence[str]) -> Verdict:
        """Ask the judges in order up to the first refusal; `source` is the place of the text that supports it best."""
        passed: list[str] = []
        for name, judge in self._judges:
            detail = judge(sentence, sources)
            if detail:
                return Verdict(tuple(passed), name, detail)
            passed.append(name)
        return Verdict(tuple(passed), source=_nearest(sentence, sources))


def supported(sentence: str, sources: Sequence[str]) -> str:
    """The deterministic support checks as a judge."""
    found = unsupported(sentence, sources)
    return f"{found[0].check}: {found[0].what}" if found else ""


def sentence_ends(text: str, start: int, done: bool) -> Iterator[int]:
    """Where sentences end behind `start`; the last one counts when the text is `done`.

    While it grows, a mark at its very end says nothing yet: "4." may become 4.90.
    """
    end = start
    for sentence in cut(text[start:]):
        end += len(sentence)
        if done or end < len(text) or text[end - 1] not in ".!?…":
            yield end
    if done and text[end:].strip():
        yield len(text)


def _nearest(sentence: str, sources: Sequence[str]) -> int:
    """The place of the source that holds most of a sentence's words; the first of equals."""
    words = {stem(word) for word in _WORD.findall(sentence)}
    shared = [len(words & {stem(word) for word in _WORD.findall(source)}) for source in sources]
    return shared.index(max(shared))
