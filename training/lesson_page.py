"""Draws a lesson as one HTML file that needs nothing from outside, and tells it as Markdown.

The page is for somebody who leads a support team: what came in, what was learned from it, what changes for customers,
and whether it is in use. Bars are plain elements whose widths are computed here; the template escapes all texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from training.lesson import Figure, Lesson, lessons

_TITLES = {
    "promoted": "A better bot is in use",
    "on trial": "A better bot is tried on a part of the conversations",
    "kept back": "The bot stays as it is",
    "tried": "Only tried",
    "nothing new": "Nothing new to learn",
    "nothing to learn": "Nothing to learn from",
    "failed": "Learning broke off",
}
_RULES = {
    "corrected_by_reviewer": "somebody said afterwards what was right",
    "corrected_by_agent": "the colleague who took over said what was meant",
    "closed_resolved": "it was done at once, and the customer left content",
    "answer_accepted": "the customer was content with the answer",
    "chose_other_guess": "the customer chose another of our guesses",
    "chose_first_guess": "the customer confirmed our first guess",
    "chose_none": "the customer said: none of these",
    "quick_reply": "the customer pressed a button",
    "task_completed": "the customer finished what was begun",
    "handoff_resolved": "a colleague solved it as something else",
    "rephrase_success": "the customer said it again, and it worked",
    "rephrase_handoff": "the customer said it again, and a colleague took over",
    "thumb_up": "thumb up",
    "thumb_down": "thumb down",
    "repeated_question": "the customer asked the same again",
    "escalation": "angry words, or asking for a person",
    "silence": "the customer left without a word",
}
_MOST_INTENTS = 16


_WHY = {
    "margin": "the bot can hardly decide",
    "diverse": "unlike what is known",
    "disagreement": "old and new bot disagree",
    "implicit": "it seems to have gone wrong",
    "audit": "drawn at random, to measure",
    "second": "a second opinion",
}
_CURVE = 12
"""Rounds that the curve shows."""


@dataclass(frozen=True, slots=True)
class _Dot:
    """A round on the curve: places in pixels, the share understood, after how many labels, whether it is in use."""

    x: float
    y: float
    share: float
    labels: int
    used: bool
    title: str


def render(lesson: Lesson, folder: Path) -> str:
    """The HTML page; links are from this folder."""
    return _template().render(
        lesson=lesson,
        title=_TITLES[lesson.outcome],
        headline=lesson.headline.removeprefix(f"{_TITLES[lesson.outcome]}. "),
        tone={"promoted": "yes", "on trial": "yes", "kept back": "no", "failed": "no"}.get(lesson.outcome, "still"),
        steps=list(_steps(lesson)),
        months=lesson.heard.months,
        most=max([month.total for month in lesson.heard.months], default=1),
        rules=[rule for rule in lesson.rules if rule.labels],
        quiet=[rule for rule in lesson.rules if not rule.labels and not rule.on],
        most_labels=max([rule.labels for rule in lesson.rules], default=1) or 1,
        learned=lesson.learned[:_MOST_INTENTS],
        more=max(0, len(lesson.learned) - _MOST_INTENTS),
        most_taught=max([item.taught + item.measured for item in lesson.learned], default=1) or 1,
        rule_words=_RULES,
        checks=list(_checks(lesson)),
        curve=_curve([*_earlier(lesson, folder), lesson]),
        next=list(_next(lesson)),
        why=_WHY,
    )


def _earlier(lesson: Lesson, folder: Path) -> list[Lesson]:
    """The rounds before this one that measured something, of the folder that this round's is in."""
    found = [one for path, one in lessons(folder.parent) if path != folder and one.at < lesson.at]
    return [one for one in found if one.figures][-_CURVE:]


def _curve(rounds: Sequence[Lesson]) -> list[_Dot]:
    """What each round's bot understood of what was kept aside; the first dot is what was in use before them all."""
    points = [(figure, one) for one in rounds for figure in one.figures if figure.main and one.outcome != "nothing new"]
    if not points:
        return []
    first, of = points[0]
    found = [(figure.after, one.taught, one.outcome in ("promoted", "on trial"), one.at[:10]) for figure, one in points]
    if first.before is not None:
        found.insert(0, (first.before, 0, True, f"in use before {of.at[:10]}"))
    step = 600 / max(1, len(found) - 1)
    return [
        _Dot(round(number * step, 1), round(180 - share * 180, 1), share, taught, used, f"{when}: {share:.1%}")
        for number, (share, taught, used, when) in enumerate(found)
    ]


def _next(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """What a person can do now, and the command for it."""
    at = f" -p {lesson.place}" if lesson.place not in ("", ".") else ""
    if lesson.outcome == "promoted":
        yield "Nothing has to be done: the new bot answers from now on. To try it:", f"bot chat {lesson.place}".strip()
    elif lesson.outcome == "on trial":
        yield "Watch how the new bot does with its part of the conversations:", f"bot models list{at}"
    elif lesson.outcome == "kept back":
        yield (
            "Look at what it would do worse below. If you can live with it, put it to use:",
            (f"bot models promote {lesson.bundle} --reason '...'{at}"),
        )
    elif lesson.outcome == "nothing to learn":
        yield "Let people talk to the bot, or bring conversations in:", f"bot learn {lesson.place} --logs FILE"
    if lesson.asks:
        yield f"Help it on: {len(lesson.asks)} answers of yours teach most,", lesson.review
    if lesson.outcome == "promoted" and lesson.replaced:
        yield "If something is not right, go back to the bot before:", f"bot models rollback{at}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("training", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["percent"] = lambda share: f"{share * 100:.0f}"
    environment.filters["points"] = _points
    environment.filters["plain"] = lambda name: str(name).rpartition(" (")[0] or str(name)
    return environment.get_template("lesson.html.j2")


def _points(share: float) -> str:
    return f"{share * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def _steps(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """The way from conversations to a bot, as numbers with words."""
    yield str(lesson.heard.conversations), "conversations in the log"
    yield str(lesson.heard.turns), "messages of customers"
    if lesson.labels:
        yield str(lesson.labels), "of them with a known meaning"
        yield str(lesson.taught), "teach"
        yield str(lesson.measured), "are kept aside and measure"


def _checks(lesson: Lesson) -> Iterator[tuple[bool, str]]:
    """What was done so that the figures are honest."""
    leak = lesson.leakage
    yield not leak.unreviewed, f"Only people's labels measure; {leak.unreviewed} others among them"
    yield not leak.same_words, f"Messages that measure and also teach, word by word: {leak.same_words}"
    yield not leak.near_duplicates, f"Messages that measure and teach in nearly the same words: {leak.near_duplicates}"
    yield not leak.conversations, f"Conversations on both sides: {leak.conversations}"
    yield not leak.customers, f"Customers on both sides: {leak.customers}"
    if leak.since:
        yield True, f"Conversations since {leak.since} only measure: the bot must do well on what is new"
    for why, count in leak.dropped.items():
        yield True, f"Left out: {count} messages; {why}"


# As Markdown --------------------------------------------------------------------------------------------------------


def told(lesson: Lesson) -> str:
    """The lesson as Markdown."""
    return "\n".join(_lines(lesson)) + "\n"


def _lines(lesson: Lesson) -> Iterator[str]:
    yield f"# {_TITLES[lesson.outcome]}"
    yield ""
    yield f"{lesson.headline} ({lesson.at})"
    yield from (f"- {reason}" for reason in lesson.reasons)
    yield ""
    heard = lesson.heard
    yield "## What came in"
    yield ""
    yield f"- {heard.conversations} conversations with {heard.turns} messages; {heard.imported} came in with this round"
    yield f"- {heard.thumbs_up} thumbs up, {heard.thumbs_down} down, {heard.corrections} corrections"
    if heard.refused:
        yield f"- {heard.refused} conversations of people who do not want to be learned from were left out"
    if lesson.masked:
        masked = ", ".join(f"{count} {kind}" for kind, count in lesson.masked.items())
        yield f"- masked before learning (masker {lesson.masker}): {masked}"
    if lesson.labels:
        yield from _labels(lesson)
    if lesson.figures:
        yield from _changes(lesson)
    if lesson.asks:
        yield from ("", "## What a person should look at next", "", f"`{lesson.review}`", "")
        yield from (f'- "{ask.text}" ({ask.conversation}, turn {ask.turn}; {ask.reason})' for ask in lesson.asks)
    yield ""
    yield "## Steps"
    yield ""
    yield from (f"- {stage.name}: {stage.said} ({stage.seconds:.1f} s)" for stage in lesson.stages)
    if lesson.search:
        yield f"- search: {lesson.search}"
    if lesson.snapshot:
        yield f"- snapshot {lesson.snapshot}, bundle {lesson.bundle or 'none'}"


def _labels(lesson: Lesson) -> Iterator[str]:
    yield ""
    yield "## What was learned"
    yield ""
    yield f"{lesson.labels} messages have a known meaning: {lesson.taught} teach, {lesson.measured} are kept aside."
    yield ""
    yield "| sign | labels | believed |"
    yield "| --- | ---: | ---: |"
    for rule in lesson.rules:
        if rule.labels:
            yield f"| {rule.rule} | {rule.labels} | {rule.accuracy:.2f} |"
    yield ""
    yield from (f"- {text}" for _, text in _checks(lesson))


def _changes(lesson: Lesson) -> Iterator[str]:
    yield ""
    yield "## What changes for customers"
    yield ""
    yield from (f"- {_figure(figure)}" for figure in lesson.figures)
    tests = lesson.tests
    if tests is not None:
        before = "" if tests.before is None else f", {tests.before} before"
        yield f"- Test conversations: {tests.after} of {tests.total} pass{before}"
        yield from (f"  - passes now: {name}" for name in tests.won)
        yield from (f"  - fails now: {name}" for name in tests.lost)
    for title, changes in (("better", lesson.better), ("worse", lesson.worse)):
        for change in changes:
            yield f'- {title}: "{change.text}" is {change.right}; was {change.before}, now {change.after}'


def _figure(figure: Figure) -> str:
    before = "" if figure.before is None else f", {figure.before:.3f} before"
    bounds = "" if figure.low is None or figure.high is None else f" (change {figure.low:+.3f} to {figure.high:+.3f})"
    return f"{figure.name}: {figure.after:.3f}{before}{bounds}, {figure.rows} messages"
