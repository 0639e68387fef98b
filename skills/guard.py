"""What a generated sentence may not show, and what a message may not get worded for it: rules, no model.

Each rule is a judge of the chain in `skills.speaking`: a function of a sentence and its sources that says what is
wrong, "" if nothing is. Links, addresses of people, phone, card and account numbers may only be repeated from the
sources, and links lead to the bot's own sites; hidden text, mark-up and the prompt's own marks may not be shown at all;
rude words neither. `asks_to_misbehave` looks at what a user or a passage says: wording is then left to the approved
answer, and nothing else changes, as words never choose what a bot does.

What a rule compares is the text without the tricks that hide it: compatibility forms (ｗｗｗ, 𝐡𝐭𝐭𝐩), invisible signs,
"(at)", "dot" and spaces between letters or digits.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from skills.guard_words import ATTEMPTS, RUDE
from skills.speaking import Judge

_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_JOINERS = re.compile("[\u200c\u200d\ufe0e\ufe0f]")
_TOP = (
    "com|org|net|io|ai|app|dev|info|biz|shop|store|site|online|xyz|top|me|co|eu|de|at|ch|uk|fr|nl|be|it|es|pl|ru|cn|tk"
    "|ly|gg|cc|to|tv|us|example|test|link|click|live"
)
_HOST = rf"(?:[\w-]+\.)+(?:{_TOP})\b"
_LINK = re.compile(
    rf"(?:[a-z][a-z0-9+.-]{{1,20}}:)//[^\s<>\"'，。]+|\b(?:javascript|data|vbscript|mailto|tel|file):[^\s<>\"']+"
    rf"|\bwww\.[^\s<>\"'，。]+|(?<![@\w.]){_HOST}(?:[/?#:][^\s<>\"'，。]*)?"
    r"|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:[:/][^\s<>\"']*)?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w.,])\+?\(?\d(?:[\s()./-]{0,3}\d){6,24}(?![\w])")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{2,4}){3,8}\b")
_MARKUP = re.compile(
    r"<\s*/?\s*[a-z!][^>]{0,200}>|!?\[[^\]]{0,200}\]\s*\([^)]*\)|<\|[^>]{0,40}|\|>|^\s*(?:```|~~~)|\]\s*:\s*\S+//",
    re.I | re.M,
)
_DOT = re.compile(r"\s*(?:\[\.\]|\(\.\)|\{\.\}|[\[({]\s*(?:dot|punkt|点)\s*[\])}]|\s(?:dot|punkt)\s)\s*", re.IGNORECASE)
_AT = re.compile(
    r"\s*[\[({]\s*(?:at|@|ät)\s*[\])}]\s*|\sat\s(?=[\w-]+(?:\s(?:dot|punkt)\s|\s?[\[({]\s*(?:dot|punkt|\.)))",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\bh(?:tt|xx)p(s?)\s*(?::|\[:\])\s*/\s*/\s*", re.IGNORECASE)
_SPREAD = re.compile(r"(?<!\w)(?:\w[ .\-_]){3,}\w(?!\w)")
_LETTERS = str.maketrans("аеорсухіѕԁ0134$@", "aeopcyxisdoleasa")


def plainly(text: str) -> str:
    """The text without what hides it: compatibility forms, invisible signs, written-out dots and at-signs."""
    text = _HIDDEN.sub("", unicodedata.normalize("NFKC", _JOINERS.sub("", text)))
    text = text.replace("。com", ".com").replace("．", ".").replace("／", "/")
    return _SCHEME.sub(r"http\1://", _DOT.sub(".", _AT.sub("@", text)))


def links(sites: Sequence[str] = ()) -> Judge:
    """A judge of links: each must stand in a source; with `sites` (hosts), it must lead to one of them too."""

    def judge(sentence: str, sources: Sequence[str]) -> str:
        found = list(_links(sentence))
        held = {link for source in sources for link in _links(source)} if found else set()
        for link in found:
            if link not in held:
                return f"the link {link} is in no source"
            if sites and not _leads_to(link, sites):
                return f"the link {link} leads elsewhere than {', '.join(sites)}"
        return ""

    return judge


def personal(sentence: str, sources: Sequence[str]) -> str:
    """A judge of e-mail addresses and of phone, card and account numbers that no source holds."""
    said = plainly(sentence)
    held = plainly("\n".join(sources))
    addresses = {found.lower() for found in _MAIL.findall(held)}
    for found in _MAIL.findall(said):
        if found.lower() not in addresses:
            return f"the address {found} is in no source"
    numbers = [_bare(number) for pattern in (_DIGITS, _ACCOUNT) for number in pattern.findall(held)]
    for pattern in (_ACCOUNT, _DIGITS):
        for found in pattern.findall(said):
            if len(re.sub(r"\D", "", found)) >= 7 and _bare(found) not in numbers:
                return f"the number {found.strip()} is in no source"
    return ""


def canaries(hidden: Sequence[str]) -> Judge:
    """A judge of words that stand in a prompt to show that it leaks; spelled apart, backwards or encoded too."""
    wanted = [form for word in hidden for form in _forms(word) if form]

    def judge(sentence: str, sources: Sequence[str]) -> str:
        del sources
        said = _tight(sentence)
        return "a hidden word of the prompt" if any(form in said for form in wanted) else ""

    return judge


def markup(sentence: str, sources: Sequence[str]) -> str:
    """A judge of HTML, links and images of Markdown, marks of a prompt, and text that is hidden from the eye."""
    del sources
    if _HIDDEN.search(_JOINERS.sub("", sentence)):
        return "signs that cannot be seen"
    found = _MARKUP.search(unicodedata.normalize("NFKC", sentence))
    return f"mark-up: {found.group()}" if found else ""


def rude(sentence: str, sources: Sequence[str]) -> str:
    """A judge of a small list of rude words, English, German and Chinese; a source may hold one, as in a name."""
    held = " ".join(sources).lower()
    for found in RUDE.finditer(plainly(sentence).lower()):
        if found.group() not in held:
            return f"the word {found.group()}"
    return ""


def asks_to_misbehave(text: str) -> str:
    """What in a message or a passage tries to steer the bot's wording or to see its instructions; "" if nothing does.

    Made for what people write to a shop: "ignore my last order" is harmless, "ignore your instructions" is not.
    """
    said = " ".join(plainly(text).split())
    for name, pattern in ATTEMPTS.items():
        for form in (said, _SPREAD.sub(lambda found: re.sub(r"[ .\-_]", "", found.group()), said)):
            if pattern.search(form):
                return name
    return ""


def judges(sites: Sequence[str] = (), hidden: Sequence[str] = ()) -> list[tuple[str, Judge]]:
    """All rules by name, cheapest and gravest first."""
    return [
        ("canary", canaries(hidden)),
        ("markup", markup),
        ("links", links(sites)),
        ("personal", personal),
        ("rude", rude),
    ]


def _links(text: str) -> Iterator[str]:
    """The links of a text in one form: small letters, no scheme of the web, no closing marks."""
    for found in _LINK.finditer(_MAIL.sub(" ", plainly(text))):
        link = found.group().lower().rstrip(".,;:!?)]}'\"*_")
        if not re.fullmatch(r"[\d.,]+", link):
            yield re.sub(r"^https?://(?:www\.)?|^www\.", "", link).rstrip("/")


def _leads_to(link: str, sites: Sequence[str]) -> bool:
    host = urlsplit("//" + link).hostname or ""
    return any(host == site or host.endswith("." + site) for site in sites)


def _forms(word: str) -> set[str]:
    """How a word may be told: forwards, backwards, as base64 (from any of its three beginnings), in hexadecimal."""
    raw = word.encode()
    base64 = {b64encode(raw[start:])[: len(raw) * 4 // 3 - 3].decode() for start in range(3)}
    return {_tight(word), _tight(word)[::-1], raw.hex(), raw.hex().translate(_LETTERS), *map(_tight, base64)}


def _bare(number: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", number).lower()


def _tight(text: str) -> str:
    """Letters and digits only, look-alikes as what they look like."""
    letters = plainly(text).lower().translate(_LETTERS)
    return re.sub(r"[\W_]", "", letters)
