"""A text that is still being written, sentence by sentence, so that it can be said while it grows. Pure.

A cut in the wrong place is heard ("the 3rd" / "of May"), a missing one is not: where a full stop may belong to an
abbreviation, an initial or a small number, there is no cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STOP = re.compile(r"(?P<east>[。！？]+[”’」』）)\"']*)|[.!?…]+[\"')\]”’»“]*(?=\s|$)|\n")
_LAST_WORD = re.compile(r"(\w+)\.$")
_ABBREVIATIONS = """
    abs approx art avg bzgl bzw ca co corp dept dr est etc evtl fig ggf gmbh hr inc incl inkl inv jr ltd max min mr mrs
    ms no nos nr num op prof resp sr st str tel usw vgl vol vs zzgl
"""
_SHORTENED = frozenset(_ABBREVIATIONS.split())
_DIGITS_OF_A_SMALL_NUMBER = 2


class Sentences:
    """Gives each sentence once. What it gives, joined, is the text; white space stands before a sentence, not after."""

    def __init__(self) -> None:
        self._given: list[str] = []

    def grow(self, text: str) -> list[str]:
        """The sentences of the text so far that are whole and were not given yet.

        A text that ends in a full stop is taken to end there: drafts grow by sentences.
        """
        return self._new(list(cut(text)))

    def end(self, text: str) -> list[str]:
        """What of the final text was not given yet. Where it is not what was given, all from there on."""
        whole = list(cut(text))
        rest = text[sum(map(len, whole)) :]
        return self._new([*whole, rest.rstrip()] if rest.strip() else whole)

    def _new(self, sentences: list[str]) -> list[str]:
        same = 0
        for given, wanted in zip(self._given, sentences, strict=False):
            if given != wanted:
                break
            same += 1
        if same == len(sentences):
            return []
        self._given = sentences
        return sentences[same:]


def cut(text: str) -> Iterator[str]:
    """The whole sentences of a text, each with the white space before it."""
    start = 0
    for match in _STOP.finditer(text):
        sentence = text[start : match.end()].rstrip()
        if sentence.strip() and (match["east"] or match[0] == "\n" or _may_end(sentence)):
            yield sentence
            start += len(sentence)


def _may_end(sentence: str) -> bool:
    word = _LAST_WORD.search(sentence)
    if word is None:
        return True
    last = word[1]
    if last.isdecimal():
        return len(last) > _DIGITS_OF_A_SMALL_NUMBER
    return len(last) > 1 and last.lower() not in _SHORTENED
