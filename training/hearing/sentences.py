"""What is said: sentences of our own grammar and word lists, in the words that a caller uses.

A sentence has no capitals and no punctuation; numbers are words and letters stand apart, as they are heard. `a~ay` in a
rule is written "a" and spoken "ay". Whether a sentence is held out depends on its own words alone, so that no draw can
bring it into training.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from training.hearing.values import MAKERS, Lists

_SLOT = re.compile(r"\{(\w+)\}")
_MAYBE = re.compile(r"\(([^()]*)\)")
_ASKED = re.compile(r"(where|when|what|who|why|how|which|are|can|could|do|does|did|has|have|will|would|am|may)\b")


@dataclass(frozen=True)
class Sentence:
    """What is written down, and what is given to a synthesiser."""

    written: str
    spoken: str

    @property
    def held_out(self) -> bool:
        """Whether it never comes into training: one in fifty of those that have four words or more."""
        return self.written.count(" ") >= 3 and zlib.crc32(self.written.encode()) % 50 == 0


@dataclass(frozen=True)
class Grammar:
    """Rules and word lists by name, and groups of sentences with their shares."""

    rules: Lists
    groups: Mapping[str, tuple[float, tuple[str, ...]]]

    def one(self, dice: random.Random) -> Sentence:
        """A sentence by chance."""
        shares, groups = zip(*self.groups.values(), strict=True)
        made = self._fill(dice.choice(dice.choices(groups, shares)[0]), dice)
        words = [(written, spoken or written) for written, _, spoken in (word.partition("~") for word in made.split())]
        end = "?" if _ASKED.match(made) else dice.choice((".", ".", ""))
        return Sentence(" ".join(word for word, _ in words), " ".join(word for _, word in words) + end)

    def _fill(self, text: str, dice: random.Random) -> str:
        text = _MAYBE.sub(lambda found: dice.choice((found[1], "")), text)
        while _SLOT.search(text):
            text = _SLOT.sub(lambda found: self._value(found[1], dice), text, count=1)
        return text

    def _value(self, name: str, dice: random.Random) -> str:
        if name in MAKERS:
            return MAKERS[name](dice, self.rules)
        return dice.choice(self.rules[name])


@lru_cache(maxsize=1)
def grammar() -> Grammar:
    """The grammar of the files beside this one."""
    folder = files("training.hearing")
    lists = _lists(folder.joinpath("words.txt").read_text("utf-8"))
    return _read(folder.joinpath("grammar.txt").read_text("utf-8"), {**lists, **_derived(lists)})


def written_by_hand() -> tuple[str, ...]:
    """Sentences that no rule made, for measuring alone: they are never trained on."""
    return tuple(files("training.hearing").joinpath("kept_out.txt").read_text("utf-8").split("\n")[1:-1])


def training_sentences(count: int, seed: int = 0) -> list[Sentence]:
    """So many different sentences to train on, the same for the same seed."""
    kept_out = set(written_by_hand())
    return _draw(count, seed, lambda one: not one.held_out and one.written not in kept_out)


def held_out_sentences(count: int, seed: int = 0) -> list[Sentence]:
    """So many different sentences that training never sees."""
    return _draw(count, seed, lambda one: one.held_out)


def _draw(count: int, seed: int, wanted: Callable[[Sentence], bool]) -> list[Sentence]:
    dice = random.Random(seed)
    found: dict[str, Sentence] = {}
    while len(found) < count:
        one = grammar().one(dice)
        if wanted(one):
            found.setdefault(one.written, one)
    return list(found.values())


def _lists(text: str) -> dict[str, tuple[str, ...]]:
    """Groups of words: apart by spaces, or by "|" and lines where a group has words that belong together."""
    found: dict[str, tuple[str, ...]] = {}
    for part in re.split(r"^\[", text, flags=re.MULTILINE)[1:]:
        name, _, words = part.partition("]")
        several = "|" in words
        split = re.split(r"[|\n]+" if several else r"\s+", words.strip())
        found[name] = tuple(dict.fromkeys(split))
    return found


def _derived(lists: Lists) -> dict[str, tuple[str, ...]]:
    """The forms of the words: of verbs, of nouns, and every single word."""
    forms = [_forms(verb) for verb in lists["verbs"]]
    made = {
        "verb": tuple(form[0] for form in forms),
        "verb_s": tuple(_plural(form[0]) for form in forms),
        "verb_past": tuple(form[1] for form in forms),
        "verb_done": tuple(form[2] for form in forms),
        "verb_ing": tuple(form[3] for form in forms),
        "nouns_many": tuple(_plural(noun) for noun in lists["nouns"]),
    }
    single = [word for name in lists if name not in ("verbs", "products") for word in lists[name]]
    return {**made, "any": tuple(dict.fromkeys([*single, *(word for words in made.values() for word in words)]))}


def _forms(verb: str) -> tuple[str, str, str, str]:
    """A verb of the list, its past, its participle and its -ing form; "+" says that its last letter is doubled."""
    base, *others = verb.split("/")
    stem = base.rstrip("+")
    doubled = stem + stem[-1] if base.endswith("+") or (others and _short(stem)) else stem
    mute = stem.endswith("e") and not stem.endswith(("ee", "oe", "ye")) and len(stem) > 2
    going = (stem[:-2] + "y" if stem.endswith("ie") else stem[:-1] if mute else doubled) + "ing"
    if others:
        return stem, others[0], others[1], going
    past = stem + "d" if stem.endswith("e") else re.sub(r"(?<=[^aeiou])y$", "i", doubled) + "ed"
    return stem, past, past, going


def _short(stem: str) -> bool:
    return re.fullmatch(r"[^aeiou]*[aeiou][bdgmnpt]|begin|forget", stem) is not None


def _plural(word: str) -> str:
    irregular = {"man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "be": "is"}
    irregular |= {"tooth": "teeth", "mouse": "mice", "knife": "knives", "life": "lives", "wife": "wives", "have": "has"}
    if word in irregular:
        return irregular[word]
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "do", "go")) else "s")


def _read(text: str, rules: dict[str, tuple[str, ...]]) -> Grammar:
    groups: dict[str, tuple[float, tuple[str, ...]]] = {}
    name = ""
    for line in _lines(text):
        if line.startswith("["):
            name = line.strip("[]")
        elif " = " in line:
            left, right = line.split(" = ", 1)
            rules[left] = tuple(part.strip() for part in right.split(" | "))
        else:
            share, sentences = groups.get(name, (0.0, ()))
            first, _, rest = line.partition(" ")
            share, line = (float(first), rest) if first.isdecimal() else (share, line)
            groups[name] = (share, (*sentences, line.strip()))
    return Grammar(rules, groups)


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
