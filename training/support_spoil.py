"""Sentences said in other ways that stay true, and in ways that make them untrue: what the support scorer learns from.

Rewordings do what a wording engine does: open kindly, contract, write a number as a word, drop an aside, join. Spoilers
do what it does wrong: another value, another name, a denial too many, a bound on the other side, a condition left out,
the end of another sentence. All use words of the sources where they can, since words that no source holds are found
without a model. English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from skills.support import stem
from skills.support_words import is_light, sentences
from skills.values import find

_OPENINGS = (
    *(
        "Yes, ",
        "Sure, ",
        "Of course, ",
        "Good question: ",
        "Thanks for asking: ",
        "Happy to help: ",
        "Just so you know, ",
    ),
    *("Certainly: ", "I see, ", "Good to know: ", "As far as I can see, ", "Please note that ", "So, "),
)
_SAME = (
    (r"\bcannot\b", "can't"),
    (r"\bdo not\b", "don't"),
    (r"\bdoes not\b", "doesn't"),
    (r"\bis not\b", "isn't"),
    (r"\bare not\b", "aren't"),
    (r"\bwill not\b", "won't"),
    (r"\bwe have\b", "we've"),
    (r"\bit is\b", "it's"),
    (r"\byou will\b", "you'll"),
    (r"\bmay\b", "can"),
    (r"\bmust\b", "have to"),
    (r"\bis able to\b", "can"),
    (r"\bin order to\b", "to"),
    (r"\bfor example\b", "such as"),
    (r"\bplease\s", ""),
    (r"\bpersonal information\b", "your personal information"),
    (r"\bwithin (?=\d)", "in "),
    (r"\busually\s", ""),
    (r"\balso\s", ""),
    (r"\bhowever,?\s", ""),
)
_NUMBERS = re.findall(r"\w+", "zero one two three four five six seven eight nine ten eleven twelve")
_FLIPS = (
    (r"\bcannot\b|\bcan't\b|\bcan not\b", "can"),
    (r"\b(can|will|may|must|should|would|could) not\b", r"\1"),
    (r"\b(is|are|was|were|do|does|did|has|have) not\b|\b(is|are|was|were|do|does|did|has|have)n't\b", r"\1\2"),
    (r"\bwon't\b", "will"),
    (r"\bnever\b", "always"),
    (r"\balways\b", "never"),
    (r"\bno (?=[a-z])", "a "),
    (r"\bwithout\b", "with"),
    (r"\bwith\b", "without"),
    (r"\bnot\s", ""),
    (r"\bnone of\b", "all of"),
    (r"\bneither\b", "both"),
    (r"\b(can|will|must|should|would|could|may)\b(?! not)", r"\1 not"),
    (r"\b(is|are|was|were|has|have)\b(?! not)", r"\1 not"),
    (r"\b(We|You|They|we|you|they) (?=[a-z]+\b(?<!ing)(?<!ed))", r"\1 do not "),
    (r"\bdo not\b|\bdon't\b", "do"),
    (r"\bdoes not\b|\bdoesn't\b", "does"),
)
_TURNS = (
    *(
        ("before", "after"),
        ("until", "from"),
        ("within", "after"),
        ("up to", "at least"),
        ("at most", "at least"),
        ("less", "more"),
    ),
    *(
        ("under", "over"),
        ("below", "above"),
        ("first", "last"),
        ("hot", "cold"),
        ("open", "closed"),
        ("all", "some"),
        ("every", "no"),
    ),
    *(
        ("only", "also"),
        ("must", "need not"),
        ("free of charge", "at a charge"),
        ("free", "not free"),
        ("includes", "excludes"),
    ),
    *(
        ("same", "different"),
        ("earlier", "later"),
        ("smaller", "larger"),
        ("with", "without"),
        ("both", "neither"),
        ("online", "by phone"),
    ),
    *(
        ("outside", "inside"),
        ("largest", "smallest"),
        ("increase", "decrease"),
        ("increases", "decreases"),
        ("higher", "lower"),
        ("most", "few"),
    ),
    *(
        ("allowed", "not allowed"),
        ("available", "not available"),
        ("accept", "refuse"),
        ("accepted", "refused"),
        ("required", "not required"),
    ),
)
_CONDITION = re.compile(
    r",?\s+(?:if|unless|until|except|only if|only when|as long as|provided|so long as|after you|before you"
    r"|when you|where|but not|apart from)\b[^,;:.]{6,}(?=[.,;]|$)"
    r"|^(?:If|Unless|When|Until|As long as)\b[^,;]{6,}, "
    r"|\b(?:only|usually|at least|at most|up to|sometimes|may|partly)\s",
)
_VERBS = (
    r"(?:is|are|has|have|can|cannot|costs?|holds?|comes?|goes|go|takes?|keeps?|waits?|must|will|may|gets?|makes?|needs?"
    r"|collects?|uses?|shares?|offers?|provides?|includes?|allows?|receives?|arrives?|leaves?|returns?|serves?|does|do)"
)
_SUBJECT = re.compile(rf"((?:[\w'’&-]+ ){{0,5}}[\w'’&-]+)(?=\s{_VERBS}\b)")
_ITEM = r"(?:[\w'’€.-]+(?: [\w'’.-]+){0,2})"
_LIST = re.compile(rf"{_ITEM}(?:, {_ITEM})+,? and {_ITEM}(?=[.,;:]|$)")
_PLACES = "In|On|For|From|At|After|Before|If|When|With|Under|Until|Within|To"
_SMALL = re.compile(r"(?<![\d.,:€$£-])\b(?:1[0-2]|[2-9])\b(?![.,:-]\d|\s?%|\s?[°)])")
_HINGE = re.compile(
    r"\s(?=(?:for|in|to|of|with|at|from|by|on|until|after|before|if|when|and|because|which|that|is|are|can|costs?"
    r"|takes?|holds?|has|have|will)\s)"
)


def reworded(sentence: str, context: Sequence[str], random: Random) -> str:
    """The sentence in other words, still true; `context` are the sentences of its passage, in order."""
    said = _named(sentence, context) if random.random() < 0.7 else sentence
    for change, chance in ((_without_aside, 0.35), (_one_part, 0.5), (_shorter_list, 0.6), (_moved, 0.3)):
        if random.random() < chance:
            said = change(said, random)
    for pattern, other in _SAME:
        if random.random() < 0.5:
            said = re.sub(pattern, other, said)
    if random.random() < 0.3:
        said = _SMALL.sub(lambda found: _NUMBERS[int(found.group())], said, count=1)
    if random.random() < 0.15:
        said = re.sub(r"\b(?:the|a|an)\s", "", said, count=1)
    return tidy(said)


def opened(sentence: str, random: Random) -> str:
    """The sentence, at times with a kind beginning."""
    return tidy(random.choice(_OPENINGS) + _lowered(sentence)) if random.random() < 0.3 else tidy(sentence)


def tidy(text: str) -> str:
    """A sentence with a capital, single spaces and an end."""
    text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(text.split())).strip(" ,;:")
    text = re.sub(r"\.\.+$", ".", text)
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def other_value(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A value replaced by another one of its type, from the sources where they have one."""
    values = [value for value in find(sentence) if value.kind not in ("name",)]
    if not values:
        return None
    value = random.choice(values)
    written = sentence[value.start : value.end]
    others = {source[item.start : item.end] for source in sources for item in find(source) if item.kind == value.kind}
    choices = sorted(other for other in others if other.lower() != written.lower())
    if not choices or random.random() < 0.15:
        changed = re.sub(r"\d", lambda found: str((int(found.group()) + random.randint(1, 8)) % 10), written)
        choices = [changed] if changed != written else []
    return _put(sentence, value.start, value.end, random.choice(choices)) if choices else None


def other_name(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A name replaced by another one of the sources."""
    names = [value for value in find(sentence) if value.kind == "name"]
    others = {source[item.start : item.end] for source in sources for item in find(source) if item.kind == "name"}
    if not names:
        return None
    name = random.choice(names)
    written = sentence[name.start : name.end]
    choices = sorted(other for other in others if other not in written and written not in other and "\n" not in other)
    return _put(sentence, name.start, name.end, random.choice(choices)) if choices else None


def other_word(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A word that carries meaning replaced by one of the sources that follows the same word there."""
    pairs = re.findall(r"\b([a-z']+) ([a-z]{4,})\b", " ".join(sources))
    spots = [found for found in re.finditer(r"\b([a-z']+) ([a-z]{4,})\b", sentence) if not is_light(found[2], "en")]
    random.shuffle(spots)
    for spot in spots:
        own = stem(spot[2])
        choices = sorted(
            {
                b
                for a, b in pairs
                if a == spot[1] and not is_light(b, "en") and stem(b) != own and b[-1:] == spot[2][-1:]
            }
        )
        if choices:
            return _put(sentence, spot.start(2), spot.end(2), random.choice(choices))
    return None


def denied(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A denial put in or taken out."""
    del sources
    order = list(_FLIPS)
    random.shuffle(order)
    for pattern, other in order:
        if re.search(pattern, sentence):
            return re.sub(pattern, other, sentence, count=1)
    return None


def turned(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A bound, an amount or a quality turned into its opposite."""
    del sources
    order = [*_TURNS, *((b, a) for a, b in _TURNS)]
    random.shuffle(order)
    for word, opposite in order:
        if re.search(rf"\b{word}\b", sentence):
            return re.sub(rf"\b{word}\b", opposite, sentence, count=1)
    return None


def unconditional(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """A condition left out."""
    del sources
    found = [match for match in _CONDITION.finditer(sentence) if len(match.group()) < 0.6 * len(sentence)]
    if not found:
        return None
    match = random.choice(found)
    return tidy(_put(sentence, match.start(), match.end(), " "))


def spliced(sentence: str, sources: Sequence[str], random: Random) -> str | None:
    """The beginning of the sentence with the end of another one of the sources, joined at the same small word."""
    cuts = [match.end() for match in _HINGE.finditer(sentence) if 8 < match.end() < len(sentence) - 8]
    others = [other for source in sources for other in sentences(source) if other[:40] != sentence[:40]]
    others = [other for other in others if other.split()[0] not in ("It", "They", "This", "These", "He", "She")]
    random.shuffle(cuts)
    random.shuffle(others)
    for cut in cuts:
        word = sentence[cut:].split()[0]
        for other in others[:12]:
            ends = [match.end() for match in re.finditer(rf"\s(?={word}\s)", other)]
            if ends:
                tail = other[random.choice(ends) :]
                if stem(tail.split()[1]) != stem([*sentence[cut:].split(), "", ""][1]):
                    return tidy(sentence[:cut] + tail)
    return None


Spoiler = Callable[[str, Sequence[str], Random], "str | None"]
SPOILERS: dict[str, Spoiler] = {
    "value": other_value,
    "name": other_name,
    "word": other_word,
    "denial": denied,
    "bound": turned,
    "condition": unconditional,
    "splice": spliced,
}
"""Ways to make a sentence untrue, by name."""


def _named(sentence: str, context: Sequence[str]) -> str:
    """With what "It" or "They" stands for, where the sentence before begins with it."""
    found = re.match(r"(?:It|They|This|These)\b", sentence)
    at = context.index(sentence) if sentence in context else 0
    if found is None or at == 0:
        return sentence
    subject = _SUBJECT.match(context[at - 1])
    if subject is None or re.match(r"(?:It|They|You|We|There|This|These|If|I)\b", subject[1]):
        return sentence
    return subject[1] + sentence[found.end() :]


def _one_part(sentence: str, random: Random) -> str:
    """One of two things that are said of the same subject: it comes with a strainer and costs €34."""
    subject = _SUBJECT.match(sentence)
    second = re.search(rf"(?:,|\s)\s*and\s+({_VERBS}\b[^,;]+)$", sentence)
    if subject is None or second is None or _CONDITION.search(sentence) or second.start() <= subject.end():
        return sentence
    return sentence[: second.start()] if random.random() < 0.5 else f"{subject[1]} {second[1]}"


def _shorter_list(sentence: str, random: Random) -> str:
    """One or two of the things that are listed."""
    found = _LIST.search(sentence)
    if found is None or re.search(r"\b(?:between|from|both|of)\s*$", sentence[: found.start()]):
        return sentence
    items = [item.strip() for item in re.split(r",| and ", found.group()) if item.strip()]
    kept = random.sample(items, 1 if random.random() < 0.7 else 2)
    return sentence[: found.start()] + " and ".join(kept) + sentence[found.end() :]


def _moved(sentence: str, random: Random) -> str:
    """What stands before the first comma put to the end, or what ends the sentence put before it."""
    del random
    plain = sentence.rstrip(".")
    if first := re.fullmatch(rf"((?:{_PLACES}) [^,;:]{{4,50}}), ([^;:]+)", plain):
        return f"{first[2]} {_lowered(first[1])}."
    last = re.fullmatch(rf"([^,;:]{{15,}}) ((?:{_PLACES.lower()}) [^,;:]{{4,45}})", plain)
    return f"{last[2][:1].upper()}{last[2][1:]}, {_lowered(last[1])}." if last else sentence


def _without_aside(sentence: str, random: Random) -> str:
    """Without a bracket, or without what comes after a comma or semicolon, where that is no condition."""
    if "(" in sentence:
        return re.sub(r"\s*\([^)]*\)", "", sentence, count=1)
    parts = re.split(r"(?<=\w)(?:;|, (?=and |but |so |because |which ))", sentence)
    if len(parts) < 2 or any(len(part.split()) < 4 for part in parts) or _CONDITION.search(sentence):
        return sentence
    kept = parts[0] if random.random() < 0.7 else re.sub(r"^\s*(?:and|but|so)\s", "", parts[-1])
    return sentence if re.match(r"\s*(?:because|which|it|they|this|that)\b", kept) else kept


def _lowered(sentence: str) -> str:
    """With a small first letter, unless it begins with a name or with I."""
    first = sentence.strip().split(" ", 1)[0]
    common = is_light(first.lower(), "en") and first not in ("I", "I'm", "I'll")
    return sentence[:1].lower() + sentence[1:] if common else sentence


def _put(sentence: str, start: int, end: int, other: str) -> str:
    return sentence[:start] + other + sentence[end:]
