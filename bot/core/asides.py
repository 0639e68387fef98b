"""Utterances that are about the talk itself: "mhm" while the bot speaks, "say that again", "one moment".

Fixed phrases per language are matched against the whole utterance, so an answer or a request that merely holds such a
word stays what it is. Whether "yes" is a nod or an answer is for the listener to say: it knows whether the bot speaks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Aside = Literal["", "backchannel", "repeat", "wait"]
"""What an utterance is beside an answer or a request: nothing, a nod, "say it again", "one moment"."""

_HUM = re.compile(
    r"m+h+m+|m{2,}|h+m+|mm+ h+m+|hu+h|u+h|u+m+|e+r+m?|a+h+|o+h+|ah ?ha|uh ?huh|um ?hum|mm ?hmm*|mhmm+"
    r"|äh+m?|ach|öh|嗯+|哦+|噢+|啊+|呃+"
)
"""Sounds that never answer a question."""
_NODS = {
    "en": "okay|ok|yeah|yep|yup|yes|right|sure|true|exactly|good|great|nice|cool|fine|wow|really|alright|all right|"
    "i see|got it|i got it|i understand|of course|makes sense|that makes sense|go on|interesting|thanks|thank you",
    "de": "okay|ok|ja|jep|jo|genau|stimmt|klar|gut|schön|prima|super|toll|richtig|alles klar|verstehe|ich verstehe|"
    "ach so|achso|aha so|na gut|in ordnung|sicher|natürlich|echt|wirklich|danke",
    "zh": "对|对对|对对对|好|好好|好的|是|是的|行|可以|明白|明白了|知道了|谢谢",
}
_REPEAT = {
    "en": "what|what was that|what did you say|what did you just say|pardon|pardon me|excuse me|come again|again|"
    "say again|say that again|say it again|say this again|once again|once more|one more time|repeat|repeat that|"
    "repeat it|repeat that again|can you say that again|could you say that again|would you say that again|"
    "can you repeat that|could you repeat that|would you repeat that|can you repeat it|could you repeat it|"
    "can you repeat|could you repeat|i did not catch that|i didn t catch that|i did not get that|i didn t get that|"
    "i did not hear that|i didn t hear that|i did not hear you|i didn t hear you|i can t hear you|i cannot hear you|"
    "i did not understand|i didn t understand|i did not understand that|i didn t understand that|sorry",
    "de": "was|wie|wie war das|was war das|was hast du gesagt|was haben sie gesagt|nochmal|noch mal|noch einmal|"
    "sag das nochmal|sag das noch mal|sag das noch einmal|sagen sie das nochmal|sagen sie das noch einmal|"
    "das nochmal|das noch einmal|wiederholen|wiederhole das|wiederholen sie das|wiederhole|"
    "kannst du das wiederholen|können sie das wiederholen|könnten sie das wiederholen|"
    "kannst du das nochmal sagen|können sie das nochmal sagen|können sie das noch einmal sagen|"
    "das habe ich nicht verstanden|das hab ich nicht verstanden|ich habe das nicht verstanden|"
    "ich hab das nicht verstanden|habe ich nicht verstanden|ich habe sie nicht verstanden|"
    "ich verstehe das nicht|ich verstehe sie nicht|ich verstehe nicht|wie bitte|entschuldigung",
    "zh": "什么|你说什么|再说一遍|再说一次|请再说一遍|没听清|我没听清|我没听清楚|重复一下",
}
_MOMENTS = "|".join(
    f"{lead} {word}"
    for lead in ("a", "one", "hold on a", "hang on a", "wait a", "give me a", "give me one")
    for word in ("moment", "second", "sec", "minute")
)
_WAIT = {
    "en": _MOMENTS
    + "|hold on|hang on|wait|bear with me|let me see|let me check|let me look|let me think|let me look it up|"
    "i am looking|i m looking|i am looking for it|i m looking for it",
    "de": "moment|einen moment|ein moment|kleinen moment|einen kleinen moment|augenblick|einen augenblick|sekunde|"
    "eine sekunde|eine minute|warte|warten sie|ich schaue nach|ich sehe nach|ich schau nach|lass mich nachsehen|"
    "lass mich überlegen|lassen sie mich nachsehen|lassen sie mich überlegen",
    "zh": "等一下|等等|等一会|等一会儿|稍等|稍等一下|请稍等|我看看|我查一下|让我想想",
}
_POLITE = "please bitte oh um uh ähm äh and und well no just ok okay mal kurz nur doch sorry"
"""Words that may stand around what is said."""
_LONGEST = 60
"""Longest utterance, in characters, that can be an aside."""
_WORDS = 4
"""Most words of one phrase of a nod."""


def plain(text: str) -> str:
    """The words of a text in small letters, without punctuation, one space between them."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def aside(text: str, language: str = "") -> Aside:
    """What kind of aside an utterance is. `language` is a code such as "en"; "" or an unknown one: any of ours."""
    words = plain(text).split() if len(text) <= _LONGEST else []
    if not words:
        return ""
    said = {" ".join(words), " ".join(_without_polite(words))}
    if said & _phrases("repeat", language):
        return "repeat"
    if said & _phrases("wait", language):
        return "wait"
    return "backchannel" if _all_nods(words, language) else ""


def is_hum(text: str) -> bool:
    """Whether an utterance is only "mhm" and the like, which never answer a question."""
    words = plain(text).split() if len(text) <= _LONGEST else []
    return bool(words) and _covered(words, frozenset())


def _without_polite(words: list[str]) -> list[str]:
    """Without the words of politeness and hesitation around what is said."""
    polite = _POLITE.split()
    first = next((at for at, word in enumerate(words) if word not in polite), len(words))
    last = next((at for at in range(len(words), first, -1) if words[at - 1] not in polite), first)
    return words[first:last]


def _all_nods(words: list[str], language: str) -> bool:
    return _covered(words, _phrases("nod", language))


def _covered(words: list[str], phrases: frozenset[str]) -> bool:
    """Whether the words are hums and phrases one after the other, the longest first."""
    at = 0
    while at < len(words):
        parts = {size: " ".join(words[at : at + size]) for size in range(min(_WORDS, len(words) - at), 0, -1)}
        size = next((size for size, part in parts.items() if part in phrases or _HUM.fullmatch(part)), 0)
        if not size:
            return False
        at += size
    return True


@lru_cache(maxsize=64)
def _phrases(kind: Literal["repeat", "wait", "nod"], language: str) -> frozenset[str]:
    table = {"repeat": _REPEAT, "wait": _WAIT, "nod": _NODS}[kind]
    code = language.split("-")[0].lower()
    return frozenset((table[code] if code in table else "|".join(table.values())).split("|"))
