"""Words that are likely, as a tree of tokens: a text that goes along a branch earns a boost, and loses it if it leaves.

A boost of `strength` (nats) is added to each next token of a branch, for the first four of them, so that a name which
the model half hears comes among the texts that are followed. What a text has earned on a branch is only its own when
the word is complete and another one begins: else it is taken back (retraction), so that a common word that begins like
a name is not pushed towards it. Source: the tries of Le et al. 2021, "Contextualized Streaming End-to-End Speech
Recognition with Trie-Based Deep Biasing and Shallow Fusion".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from skills.speech_tokens import SpeechTokens

MOST = 1000
"""Words that are looked at; those after them are not."""
_TOKENS = 4
"""Tokens of a word that earn: else a word of many tokens would win over anything."""
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {str(n): said for n, said in enumerate(_NUMBERS)}
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")


@dataclass(slots=True)
class Node:
    """A place in the tree. `ends`: the tokens to here are a whole word."""

    children: dict[int, Node] = field(default_factory=dict)
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """Where a text stands: the branches that it is on, each with what it has earned there, and what is its own."""

    active: tuple[tuple[Node, float], ...] = ()
    kept: float = 0.0

    @property
    def credit(self) -> float:
        """What is added to the text's score: its own, and the most that it may still keep."""
        return self.kept + max((earned for _, earned in self.active), default=0.0)


class WordTree:
    """The tree of some words for a model's tokens."""

    def __init__(self, words: Sequence[str], tokens: SpeechTokens, strength: float) -> None:
        self._root, self._tokens, self._strength = Node(), tokens, strength
        for spelling in dict.fromkeys(form for word in words[:MOST] for form in spellings(word)):
            self._add(tokens.encode(spelling))

    def boosts(self, path: Path) -> dict[int, float]:
        """What each next token of a branch adds to the credit, compared with a token that begins another word."""
        other = path.kept + self._whole(path)
        tokens = {token for node, _ in (*path.active, (self._root, 0.0)) for token in node.children}
        return {token: self.step(path, token).credit - other for token in tokens}

    def step(self, path: Path, token: int) -> Path:
        """Where a text stands after one more token."""
        kept = path.kept
        if path.active and self._tokens.begins_word(token):
            kept += self._whole(path)
        active = []
        for node, earned in (*path.active, (self._root, 0.0)):
            if (child := node.children.get(token)) is not None:
                active.append((child, min(earned + self._strength, _TOKENS * self._strength)))
        return Path(tuple(active), kept)

    def _whole(self, path: Path) -> float:
        """The most that was earned for a word that may end here."""
        return max((earned for node, earned in path.active if node.ends), default=0.0)

    def _add(self, tokens: Sequence[int]) -> None:
        node = self._root
        for token in tokens:
            node = node.children.setdefault(token, Node())
        node.ends = True


def spellings(word: str) -> Iterator[str]:
    """How a word may stand in a transcript, with the space before it: as it is, small, with a capital; digits also as
    they are said one by one."""
    word = " ".join(word.split())
    if not word:
        return
    gap = "" if _UNSPACED.search(word) else " "
    for form in (word, word.lower(), word[0].upper() + word[1:]):
        yield gap + form
    if any(sign in _DIGITS for sign in word):
        said = [_DIGITS.get(sign, sign.lower()) for sign in word if sign.isalnum()]
        if len(said) <= 12:
            yield " " + " ".join(said)
