"""Words for the support checks: which carry no claim of their own, how their forms meet, how denials are said.

English, German and Chinese. Chinese is written without spaces, so a "word" of it is a single sign.
"""

from __future__ import annotations

import re
import unicodedata

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+(?:['’-][^\W\d_{HAN}]+)*")
_BETWEEN = re.compile(r"(?<=[.!?])[\"')*]*\s+|(?<=[。！？；])[”’」）*]*\s*|\s*\n\s*")
_SHORT = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|no|nr|approx|mr|mrs|ms|dr|st|z\.B|bzw|ca|ggf)\.\s+|(?<![\d.,€$£])\d{1,2}\.\s+"
    r"(?=(?:JANUAR|FEBRUAR|MÄRZ|APRIL|MAI|JUNI|JULI|AUGUST|SEPTEMBER|OKTOBER|NOVEMBER|DEZEMBER)\b)",
    re.IGNORECASE,
)

_ENGLISH = frozenset(
    re.findall(
        r"\S+",
        """
        a an the this that these those it its i i'm i'll i'd i've me my we us our you your yours he she they
        them their is are was were be been being am do does did done doing have has had having will would shall
        should can could may might must let let's get gets got go goes going come comes take takes make makes
        made give gives given keep and or but so if then than as when while once because since though although
        also too again just even still already soon now here there where what which who whom whose why how any
        both each some such same other another more most much many few less least own very quite really well
        please thank thanks sorry hello hi welcome yes okay ok sure of course certainly happy glad great good in
        on at to from by for with about into onto over under after before until up down out off through between
        during within of not no never don't doesn't didn't isn't aren't won't can't cannot couldn't wouldn't
        shouldn't that's it's you're you'll you'd there's here's what's we'll we're we've they're wasn't weren't
        hasn't haven't hadn't question questions asking far note cost costs count know see look tell ask want
        need like help mean think hope sound sounds seem thing things way bit lot moment able simply directly
        of's one ones unfortunately happen happens kindly anything something everything
        """,
    )
)

_GERMAN = frozenset(
    re.findall(
        r"\S+",
        """
        der die das den dem des ein eine einen einem einer eines ich mich mir mein meine meinen wir uns unser
        unsere unserem unseren unserer unseres du dich dir dein deine sie ihnen ihr ihre ihren ihrem ihrer ihres
        er es sein seine seinen ist sind war waren sei bin bist seid wird werden wurde wurden worden wäre haben
        hat hatte hatten habe können kann könnte könnten dürfen darf müssen muss soll sollen sollte sollten
        wollen will möchte möchten mag lassen lässt machen macht gemacht tun tut gibt geben gegeben geht gehen
        kommt kommen bekommen bekommt erhalten erhält und oder aber denn doch so wenn dann als wie wo was wer
        wen wem wessen warum weil da dass ob obwohl während sobald falls damit dafür davon dazu daran dabei
        darauf darin daraus hier dort jetzt schon noch auch nur sehr gern gerne gut bitte danke leider hallo
        guten tag willkommen ja nein okay natürlich selbstverständlich freut helfen hilft in im ins an am ans
        auf aus bei beim mit nach von vom vor zu zum zur für über unter um durch gegen ohne bis seit ab zwischen
        innerhalb während etwa rund nicht kein keine keinen keinem keiner nie niemals nichts weder sich man mehr
        weniger viel viele wenige etwas alles einige andere anderen anderer anderes gleiche gleichen selbst
        eigene eigenen diese dieser dieses diesen diesem jede jeder jedes jeden jedem solche solchen beide
        beiden welche welcher welches einfach direkt wissen sehen sagen fragen brauchen braucht finden findet
        """,
    )
)

_CHINESE = frozenset(
    "的了是在有和与或也都就还要会能可以您你我们他她它这那哪个些什么怎样如何请吗呢吧啊哦好谢对不没无未别用到从给把被让为向于"
    "之后前内外上下中时候间里来去说想需得着过再又很太更最多少几每各该如果若但而且所因此并则只才"
)
_GERMAN_SIGNS = re.compile("[äöüß]", re.IGNORECASE)

_DENIALS = {
    "en": re.compile(
        r"\b(?:no|not|never|none|nothing|nobody|neither|nor|without|cannot|unable|unfortunately|except)\b|n['’]t\b",
        re.I,
    ),
    "de": re.compile(
        r"\b(?:nicht|nichts|nie|niemals|niemand\w*|kein\w*|ohne|weder|leider|außer|ausgeschlossen|unmöglich|nirgends?)\b",
        re.I,
    ),
    "zh": re.compile(r"不(?!同|错|仅|但|过[，,]|论|管|超过|少于|多于)|没|无(?!论)|未|非(?!常)|别(?!的|人)|勿|除外"),
}
_ENDINGS = {
    "en": ("ations", "ation", "ings", "ing", "ies", "ied", "ery", "ers", "er", "ed", "es", "ly", "y", "s", "e"),
    "de": ("ungen", "ung", "test", "ten", "ern", "end", "en", "er", "em", "es", "te", "et", "st", "e", "n", "s", "t"),
}


def language(text: str) -> str:
    """The language that the checks take a text for: "en", "de" or "zh"."""
    found = words(text)
    if not found:
        return "en"
    if sum(len(word) == 1 and is_han(word) for word in found) * 2 > len(found):
        return "zh"
    german = sum(word in _GERMAN and word not in _ENGLISH for word in found) + len(_GERMAN_SIGNS.findall(text))
    return "de" if german > sum(word in _ENGLISH and word not in _GERMAN for word in found) else "en"


def words(text: str) -> list[str]:
    """The words of a text in small letters, each Chinese sign by itself; numbers are none."""
    return [word.replace("’", "'") for word in _WORD.findall(unicodedata.normalize("NFKC", text).lower())]


def is_han(word: str) -> bool:
    """Whether a word is a Chinese sign."""
    return word[:1] >= "\u3400" and re.match(f"[{HAN}]", word) is not None


def is_light(word: str, language: str) -> bool:
    """Whether a word may stand in an answer though no source has it."""
    if is_han(word):
        return word in _CHINESE
    return word in (_GERMAN if language == "de" else _ENGLISH)


def stem(word: str, language: str = "en") -> str:
    """A word without its common endings, so that its forms meet: delivers, delivered, delivery and deliver."""
    word = word.lower().removesuffix("'s")
    for ending in _ENDINGS["de" if language == "de" else "en"]:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def meaning(text: str, language: str) -> list[str]:
    """The stems of the words that carry a claim, in order."""
    return [stem(word, language) for word in words(text) if not is_light(word, language)]


def denies(text: str, language: str = "en") -> bool:
    """Whether a sentence says that something is not so."""
    return _DENIALS[language].search(text) is not None


def sentences(text: str) -> list[str]:
    """The sentences of a text, without space around them."""
    parts: list[str] = []
    start = 0
    for end in _BETWEEN.finditer(text):
        if "\n" in end.group() or not _short(text, end):
            parts.append(text[start : end.start()])
            start = end.end()
    return [found for part in [*parts, text[start:]] if (found := part.strip())]


def _short(text: str, end: re.Match[str]) -> bool:
    """Whether what looks like an end of a sentence belongs to a short form, or to the day of a date: am 15. Mai."""
    found = _SHORT.search(text, max(0, end.start() - 8), end.end() + 10)
    return found is not None and found.end() == end.end()
