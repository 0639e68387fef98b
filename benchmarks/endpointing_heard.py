"""Whether the text of an interrupted reply is exactly what was played: replies of random sentences, cut anywhere.

The truth is built beside `Playback`: each word is given its own number of samples, and a reply is cut at a sample. By
marks (one a word: a wire that cuts a sentence into pieces), the text must be the words whose sound is out, to the
letter. By sentences alone, the words of the sentence being said are estimated; how often that is right is told too.
"""

from __future__ import annotations

import random
import re
from itertools import accumulate

from bot.core.heard import Playback

_TEXT = "the parcel leaves on Monday, and costs 4.90 EUR; your code is B422 – it's valid until 3 May (no later)"


def heard_exactly(times: int = 5000, seed: int = 4) -> list[str]:
    """The lines of the page."""
    dice = random.Random(seed)
    exact = whole = estimated = near = 0
    for _ in range(times):
        sentences = [_sentence(dice) for _ in range(dice.randrange(1, 6))]
        total = sum(sum(sizes) for _, sizes in sentences)
        cut = dice.randrange(total + 1)
        truth = _said(sentences, cut)
        marked, plain = Playback(), Playback()
        for text, sizes in sentences:
            ends = [found.end() for found in re.finditer(r"\S+", text)]
            marked = marked.add(text, sum(sizes), tuple(zip(accumulate(sizes), ends, strict=True)))
            plain = plain.add(text, sum(sizes))
        exact += _same(marked.reach(cut).heard(estimate=False), truth)
        whole += truth.startswith(plain.reach(cut).heard(estimate=False).rstrip())
        guess = plain.reach(cut).heard()
        estimated += _same(guess, truth)
        near += abs(len(guess.split()) - len(truth.split())) <= 1
    return [
        f"{times} replies cut at any sample. By marks: {exact / times:.1%} exact to the letter. By sentence ends "
        f"alone, without an estimate: {whole / times:.1%} hold nothing that was not said. With the estimate within a "
        f"sentence: {estimated / times:.0%} exact, {near / times:.0%} within one word (words here differ in pace by a "
        "factor of up to three)."
    ]


def _sentence(dice: random.Random) -> tuple[str, list[int]]:
    words = [dice.choice(_TEXT.split()) for _ in range(dice.randrange(2, 12))]
    return " ".join(words) + ". ", [int(len(word) * 1000 * dice.uniform(0.6, 1.8)) + 1 for word in words]


def _said(sentences: list[tuple[str, list[int]]], cut: int) -> str:
    """The words whose sound is all out."""
    said, at = "", 0
    for text, sizes in sentences:
        for found, size in zip(re.finditer(r"\S+\s*", text), sizes, strict=True):
            at += size
            if at > cut:
                return said.rstrip()
            said += found.group()
    return said.rstrip()


def _same(one: str, other: str) -> bool:
    return one.rstrip() == other
