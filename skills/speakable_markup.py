"""What stands in a text for the eye: Markdown, emoji, line breaks. It is taken out, and hints for the voice are read.

Hints follow SSML: `<break time="300ms"/>`, `<emphasis>`, `<say-as interpret-as="characters">`, `<sub alias="...">`.
Any other tag is left out, what it holds is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

MOST_PAUSE_S = 3.0
"""The longest pause of one break."""
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u20e3"
    "\ud800-\udfff\U0001f000-\U0001faff\U000e0000-\U000e01ef\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff]"
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=|: \t]{3,})$", re.MULTILINE)
_PICTURE = re.compile(r"!?\[([^\[\]\n]{0,400})\]\((?:[^()\s]{0,1000})(?:\s+\"[^\"\n]{0,200}\")?\)")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]{1,1000})>")
_LEAD = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•][ \t]+|(\d{1,3})[.)][ \t]+)", re.MULTILINE)
_STRONG = re.compile(
    r"(?<![\w*])\*{1,3}(?=\S)|(?<=\S)\*{1,3}(?![\w*])|(?<!\w)_{1,3}(?=\w)|(?<=[\w.!?])_{1,3}(?!\w)|~~|`+"
)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z-]{0,20})((?:\s[^<>]{0,200})?)/?>")
_ATTRIBUTE = re.compile(r"""([a-z-]{1,20})\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SECONDS = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s*(ms|s)")
_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.0}
_WIDE_DIGITS = {0xFF10 + digit: str(digit) for digit in range(10)}
_EASTERN = re.compile("[\u3000-\u9fff]")
_ENDS = ".!?…:;,。！？：；，"


@dataclass(frozen=True, slots=True)
class Hint:
    """A tag: its name, whether it closes, and what it says."""

    name: str
    closes: bool = False
    says: str = ""


def plain(text: str) -> str:
    """The text without what is only for the eye; a line that ends without a stop ends with one."""
    text = (unescape(text) if "&" in text else text).translate(_WIDE_DIGITS)
    text = _AUTOLINK.sub(r"\1", _UNSEEN.sub(_blank, text.replace("\r\n", "\n")))
    text = _PICTURE.sub(r"\1", _RULE.sub("", _FENCE.sub("", text)))
    text = _STRONG.sub("", _LEAD.sub(_number_of_item, text))
    lines = [_line(line) for line in re.split(r"[\n\u2028\u2029]+", text)]
    return " ".join(line for line in lines if line)


def hints(text: str) -> Iterator[str | Hint]:
    """The text in order: what is said, and the hints between."""
    start = 0
    for match in _TAG.finditer(text):
        yield text[start : match.start()]
        start = match.end()
        yield _hint(match)
    yield text[start:]


def pause_of(says: str) -> float:
    """The seconds of a break."""
    time = _SECONDS.fullmatch(says)
    if time is None:
        return _STRENGTHS.get(says, _STRENGTHS["medium"])
    return min(float(time[1]) / (1000 if time[2] == "ms" else 1), MOST_PAUSE_S)


def _hint(match: re.Match[str]) -> Hint:
    attributes = {name: first or second for name, first, second in _ATTRIBUTE.findall(match[3])}
    says = next((attributes[key] for key in ("time", "strength", "interpret-as", "alias") if key in attributes), "")
    return Hint(match[2].lower(), bool(match[1]), says.strip())


def _blank(match: re.Match[str]) -> str:
    """Pictures and arrows part words; unseen characters do not."""
    return " " if unicodedata.category(match[0]) in ("So", "Sm", "Cc") else ""


def _number_of_item(match: re.Match[str]) -> str:
    return f"{match[1]}: " if match[1] else ""


def _line(line: str) -> str:
    if line.count("|") > 1:
        line = ", ".join(cell.strip() for cell in line.split("|") if cell.strip())
    line = " ".join(line.split())
    if not line or line[-1] in _ENDS or line.endswith(">"):
        return line
    return line + ("。" if _EASTERN.search(line) else ".")
