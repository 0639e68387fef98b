"""Which language a chat message is in; in doubt, one of the bot's own.

The script settles what it can (Chinese, Korean, Greek, ...). The rest is left to py3langid (Lui & Baldwin 2012,
langid.py), which is asked only when there are words enough, and believed only when it is sure and the bot's own
languages are unlikely: telling a customer wrongly that their language is not spoken here is the worse mistake.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SCRIPTS = {
    "kana": r"\u3040-\u30ff",
    "han": r"\u3400-\u4dbf\u4e00-\u9fff",
    "hangul": r"\uac00-\ud7af\u1100-\u11ff",
    "cyrillic": r"\u0400-\u052f",
    "greek": r"\u0370-\u03ff\u1f00-\u1fff",
    "arabic": r"\u0600-\u06ff\u0750-\u077f",
    "hebrew": r"\u0590-\u05ff",
    "devanagari": r"\u0900-\u097f",
    "thai": r"\u0e00-\u0e7f",
}
_LATIN = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "no", "fi", "cs", "sk", "hu", "ro"),
    *("tr", "id", "ms", "vi", "ca", "hr", "sl", "et", "lv", "lt"),
)
_LANGUAGES = {
    "kana": ("ja",),
    "han": ("zh",),
    "hangul": ("ko",),
    "cyrillic": ("ru", "uk", "bg", "sr"),
    "greek": ("el",),
    "arabic": ("ar", "fa", "ur"),
    "hebrew": ("he",),
    "devanagari": ("hi", "mr", "ne"),
    "thai": ("th",),
    "latin": _LATIN,
}
"""Languages told apart within a script: those that a public chat is likely to meet."""
_BY_CHARACTER = ("han", "kana")
_FINDERS = {script: re.compile(f"[{characters}]") for script, characters in _SCRIPTS.items()}
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['’][A-Za-z\u00c0-\u024f]+)*")
_NOISE = re.compile(r"https?://\S+|\S+@\S+|\S*\d\S*")
MAX_CHARACTERS = 400
"""What is looked at of a long text."""
_MIN_WORDS = 3
_SURE = 0.6
_UNLIKELY = 0.12
_LOADING = threading.Lock()


class LanguageIdentification:
    """Tells languages apart, for a bot made for `languages`, its own first. Codes are ISO 639-1."""

    name = "language"

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = tuple(language.split("-")[0].lower() for language in languages) or ("en",)

    def warm_up(self) -> None:
        """Load what the first longer message would have to wait for; may be called from any thread."""
        _identifier(_LATIN)

    def run(self, texts: Sequence[str]) -> list[str]:
        """The language of each text."""
        return [self._identify(text[:MAX_CHARACTERS]) for text in texts]

    def _identify(self, text: str) -> str:
        words = _LATIN_WORD.findall(_NOISE.sub(" ", text))
        script = "latin" if text.isascii() else _script(text, len(words))
        candidates = _LANGUAGES[script]
        if script != "latin":
            return self._among(candidates, text)
        if len(words) < _MIN_WORDS and text.isascii():
            return self.languages[0]
        return self._by_words(words)

    def _among(self, candidates: tuple[str, ...], text: str) -> str:
        """One of the languages of a script: the only one, one that the bot speaks, or the likeliest."""
        if len(candidates) == 1:
            return candidates[0]
        spoken = [language for language in self.languages if language in candidates]
        if spoken:
            return spoken[0]
        return str(_identifier(candidates).classify(text)[0])

    def _by_words(self, words: Sequence[str]) -> str:
        names = {word for word in words[1:] if word[0].isupper() and not word.isupper()}
        plain = [word for word in words if word not in names]
        if len(plain) < 2:
            return self.languages[0]
        ranking = dict(_identifier(_LATIN).rank(" ".join(plain).lower()))
        own = max(self.languages, key=lambda language: ranking.get(language, 0.0))
        best: str = max(ranking, key=ranking.__getitem__)
        if ranking[best] >= _SURE and ranking.get(own, 0.0) <= _UNLIKELY:
            return best
        return own if own in ranking else self.languages[0]


def _script(text: str, latin_words: int) -> str:
    """The script that most words are in; a Chinese or Japanese character counts as half a word."""
    counts = {script: len(finder.findall(text)) for script, finder in _FINDERS.items()}
    if counts["kana"]:
        counts["kana"] += counts["han"]
    sizes = {script: count / (2 if script in _BY_CHARACTER else 5) for script, count in counts.items()}
    script = max(sizes, key=sizes.__getitem__)
    return script if sizes[script] > latin_words else "latin"


def _identifier(languages: tuple[str, ...]) -> LanguageIdentifier:
    """Shared by all instances: loading takes half a second, and a new bundle brings a new instance."""
    with _LOADING:
        return _loaded(languages)


@lru_cache(maxsize=len(_LANGUAGES))
def _loaded(languages: tuple[str, ...]) -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: LanguageIdentifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(languages)
    return identifier
