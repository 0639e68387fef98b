"""The same words, as people mistype them and as speech recognition hears them. Seeded: the same row, the same noise.

Nothing here knows a language: letters are swapped, lost, doubled or joined, wherever they are from. What carries the
meaning of a row for sure (digits) is left alone by typos. A row that cannot be changed stays as it is.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from training.examples import IntentExample

_LETTERS = 12
"""One typo for so many letters, at least one."""
_HEARD = 6
"""One word in so many is misheard."""
_VOWELS = str.maketrans("aeiouáéíóúàèìòùäöüâêîôû", "eiaouéíáóúèìàòùöäüêîâôû")


def typos(text: str, rng: random.Random) -> str:
    """Neighbours swapped, letters lost or doubled."""
    letters = list(text)
    for _ in range(max(1, sum(map(str.isalpha, letters)) // _LETTERS)):
        places = [at for at, letter in enumerate(letters) if letter.isalpha()]
        if len(places) < 3:
            break
        at = rng.choice(places)
        kind = rng.randrange(3)
        if kind == 0 and at + 1 < len(letters) and letters[at + 1].isalpha():
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        elif kind == 1:
            letters.insert(at, letters[at])
        else:
            del letters[at]
    return "".join(letters)


def case(text: str, rng: random.Random) -> str:
    """All capitals, or none, and no mark at the end."""
    bare = text.rstrip(" .?!。？！")
    return bare.upper() if rng.random() < 0.5 and bare.upper() != bare else bare.lower()


def speech(text: str, rng: random.Random) -> str:
    """As a recogniser writes: no capitals, no marks; here and there a word lost, joined to the next, or misheard."""
    words = re.sub(r"[^\w\s]", "", text.lower()).split()
    heard: list[str] = []
    for word in words:
        noise = rng.randrange(3 * _HEARD)
        if noise == 0 and len(words) > 3 and len(word) < 4:
            continue
        if noise == 1 and heard:
            heard[-1] += word
        elif noise == 2 and len(word) > 2:
            heard.append(word[0] + word[1:].translate(_VOWELS))
        else:
            heard.append(word)
    return " ".join(heard)


KINDS: Mapping[str, Callable[[str, random.Random], str]] = {"typos": typos, "case": case, "speech": speech}


def perturbed(rows: Sequence[IntentExample], kind: str, seed: int = 0) -> tuple[IntentExample, ...]:
    """The rows with noise of a kind in their texts."""
    return tuple(replace(row, text=_noisy(row.text, kind, seed)) for row in rows)


def _noisy(text: str, kind: str, seed: int) -> str:
    digest = hashlib.sha256(f"{kind}\n{seed}\n{text}".encode()).digest()
    return KINDS[kind](text, random.Random(digest)) or text
