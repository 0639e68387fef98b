"""The causal chain of an answer for a terminal: numbered sections in the order of the chain, empty ones left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from training.why.values import Attribution, Flip, Lessons, Meaning, Why

_BAR = 16
_CANDIDATES = 5
_SHORT = 160
Section = tuple[str, list[RenderableType]]


def tell(why: Why, console: Console) -> None:
    """Print the chain."""
    at = datetime.fromtimestamp(why.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    console.print(f"Conversation {why.conversation}, turn {why.turn}, {at}", style="dim", markup=False)
    console.print(Text(why.headline, style="bold"), soft_wrap=False)
    for number, (title, body) in enumerate(_sections(why), 1):
        console.print()
        console.print(Text(f"{number:>2} {title}", style="bold cyan"), soft_wrap=False)
        for item in body:
            console.print(Padding(item, (0, 0, 0, 3)), soft_wrap=False)


def _sections(why: Why) -> Iterator[Section]:
    yield _heard(why)
    if why.understood is not None:
        yield _meaning(why.understood)
    if why.words is not None:
        yield _words(why.user, why.words)
    if why.lessons is not None and why.lessons.nearest:
        yield _lessons(why.lessons)
    parts = (_decided(why), _slots(why), _looked_up(why), _acted(why), _said(why), _after(why), _flips(why))
    yield from (part for part in parts if part[1])
    if why.unknown:
        yield "Not known", [Text(f"- {note}", style="yellow") for note in why.unknown]


def _heard(why: Why) -> Section:
    heard = why.heard
    titles = {
        "words": "The user said",
        "voice": "The user said (heard from speech)",
        "press": f"The user pressed a button of turn {heard.offered_in}",
        "event": "Something outside asked",
    }
    pressed = [Text(heard.pressed, style="dim")] if heard.pressed else []
    return titles[heard.kind], [Text(heard.text or "(no words)"), *pressed]


def _meaning(found: Meaning) -> Section:
    verdict = "accepted" if found.accepted else "not accepted"
    scope = f"in scope {found.in_scope:.2f}, threshold {found.threshold:.2f}: {verdict}"
    language = f"language {found.language or '?'}{'' if found.supported else ' (not spoken here)'}"
    by = f"bundle {found.bundle}" if found.bundle else f"source {found.source}"
    body: list[RenderableType] = [Text(f"{scope}; {language}; {by}", style="dim")]
    if found.candidates:
        drawn = _table("intent", "score", "")
        for item in found.candidates[:_CANDIDATES]:
            drawn.add_row(Text(item.name), f"{item.score:.3f}", "█" * round(item.score * _BAR))
        body.append(drawn)
    if found.entities:
        drawn = _table("entity", "value", "words", "characters", "found by")
        for span in found.entities:
            name = span.type + (f"#{span.role}" if span.role else "") + (f".{span.group}" if span.group else "")
            place = f"{span.start}-{span.end}"
            drawn.add_row(Text(name), Text(str(span.value)), Text(span.text), place, Text(span.extractor))
        body.append(drawn)
    return "What was understood", body


def _words(text: str, found: Attribution) -> Section:
    most = max((abs(word.weight) for word in found.words), default=1.0) or 1.0
    shown = Text(text)
    for word in found.words:
        strong = abs(word.weight) / most
        colour = "green" if word.weight > 0 else "red"
        if strong > 0.15:
            shown.stylize(f"{'bold ' if strong > 0.5 else ''}{colour}", word.start, word.end)
    ranked = sorted(found.words, key=lambda word: -word.weight)
    weights = Text(", ".join(f"{word.text} {word.weight:+.1f}" for word in ranked), style="dim")
    check = (
        f"Checked: without the {found.removed} words that count most {found.without_most:.2f} is left, without the "
        f"{found.removed} that count least {found.without_least:.2f}; fit {found.fit:.2f} on {found.variants} texts"
    )
    doubt = [] if found.holds else [Text("The check fails: do not rely on these weights.", style="yellow")]
    return f"Words that counted for {found.target} ({found.score:.2f})", [
        shown,
        weights,
        Text(check, style="dim"),
        *doubt,
    ]


def _lessons(found: Lessons) -> Section:
    drawn = _table("alike", "intent", "example", "from")
    for item in found.nearest:
        place = f"conversation {item.conversation}, turn {item.turn}" if item.conversation else item.where
        rules = f" ({', '.join(item.rules)})" if item.rules and item.conversation else ""
        drawn.add_row(f"{item.similarity:.2f}", Text(item.intent), Text(item.text), Text(place + rules))
    known = found.known
    body: list[RenderableType] = []
    if known is not None:
        body.append(Text(f"Word for word an example of {known.intent}: {known.where}", style="green"))
    return f"The nearest of {found.trained_on} training examples", [*body, drawn]


def _decided(why: Why) -> Section:
    body: list[RenderableType] = []
    for item in why.decisions:
        policy = f"{item.policy}, " if item.policy else ""
        where = f"{policy}{item.place}".rstrip(", ")
        body.append(Text.assemble(item.said, (f"  [{where}]" if where else "", "dim")))
        if item.policy and item.candidates:
            names = ", ".join(f"{one.name} {one.score:.2f}" for one in item.candidates)
            body.append(Text(f"  candidates: {names}", style="dim"))
    body += [Text.assemble(f"-> {one.what}", (f"  [{one.place}]" if one.place else "", "dim")) for one in why.moves]
    if why.today:
        body.append(Text(f"With the project as it is today: {'; '.join(why.today)}", style="yellow"))
    return "What was decided", body


def _slots(why: Why) -> Section:
    shown = [line for line in why.slots if line.counted or line.worded]
    others = [line for line in why.slots if not (line.counted or line.worded)]
    if not why.slots:
        return "Slots", []
    drawn = _table("", "slot", "value", "from", "turn")
    for line in shown:
        value = "empty" if line.value is None else str(line.value)
        mark = Text("counted", style="green") if line.counted else Text("in the words", style="dim")
        drawn.add_row(mark, Text(line.name), Text(_cut(value)), Text(line.source), str(line.turn) if line.turn else "-")
    groups = {
        "in this turn": [line.name for line in others if line.here],
        "before": [line.name for line in others if not line.here],
    }
    told = "; ".join(f"{when} {', '.join(names)}" for when, names in groups.items() if names)
    rest = [Text(f"Set without effect on this answer: {told}", style="dim")] if told else []
    return "Slots", [*([drawn] if shown else []), *rest]


def _looked_up(why: Why) -> Section:
    found = why.lookup
    if found is None:
        return "Passages", []
    drawn = _table("score", "", "passage", "document")
    for item in found.passages:
        mark = "used" if item.used else "" if item.score >= found.floor else "below"
        drawn.add_row(f"{item.score:.3f}", mark, Text(item.title), Text(item.document))
    line = Text(f"floor {found.floor:.3f}; asked: {found.query}; index {found.index or 'none'}", style="dim")
    return "Passages found", [line, drawn if found.passages else Text("none")]


def _acted(why: Why) -> Section:
    drawn = _table("action", "seconds", "result", "key", "from")
    for item in why.actions:
        result = Text(item.error, style="red") if item.error else Text("ok")
        drawn.add_row(Text(item.action), f"{item.seconds:.3f}", result, Text(item.key), Text(item.place))
    return "Custom actions", [drawn] if why.actions else []


def _said(why: Why) -> Section:
    body: list[RenderableType] = []
    for item in why.answers:
        which = f", wording {item.variation} of {item.variations}" if item.variation else ""
        name = f"{item.name}{which}" if item.name else "from the knowledge base" if item.sources else "words of its own"
        sources = f"; source: {', '.join(item.sources)}" if item.sources else ""
        body.append(Text.assemble(_cut(item.text) or "(no text)", (f"  [{name}{sources}]", "dim")))
        if item.buttons:
            body.append(Text(f"  buttons: {' | '.join(item.buttons)}", style="dim"))
    return "What the bot said", body


def _after(why: Why) -> Section:
    after = why.after
    lines = [f"outcome: {after.outcome}" if after.outcome else "no outcome yet"]
    lines += [f"failed: {after.failed}"] if after.failed else []
    for item in after.judgements:
        score = f" {item.score:+g}" if item.score is not None else ""
        right = f": right would be {item.intent}" if item.intent else ""
        reply = f": {item.reply!r} would have been right" if item.reply else ""
        lines.append(f"{item.kind} by {item.by}{score}{right}{reply}{f' ({item.said})' if item.said else ''}")
    lines += [f"handed to a person in turn {after.handed_off_turn}: {after.handed_off}"] if after.handed_off else []
    lines += [f"the user went on: {_cut(after.next)}"] if after.next else []
    lines += [f"the conversation ended: {after.ended}"] if after.ended else []
    return "What came of it", [Text(line) for line in lines]


def _flips(why: Why) -> Section:
    changing = [flip for flip in why.flips if not flip.same]
    same = [flip.change for flip in why.flips if flip.same]
    body: list[RenderableType] = []
    if changing:
        drawn = Table(show_edge=False, box=None, pad_edge=False, header_style="bold")
        drawn.add_column("with this change", overflow="fold", ratio=2)
        drawn.add_column("the bot", overflow="fold", ratio=3)
        for flip in changing:
            drawn.add_row(Text(flip.change), _consequence(flip))
        body.append(drawn)
    body += [Text(f"No difference: {'; '.join(same)}", style="dim")] if same else []
    return "What would have changed it (each was tried)", body


def _consequence(flip: Flip) -> Text:
    told = Text("; ".join(flip.does))
    if flip.assumed:
        told.append(f"\nif {'; '.join(flip.assumed)}", style="dim")
    if flip.command:
        told.append(f"\n{flip.command}", style="dim")
    return told


def _table(*columns: str) -> Table:
    drawn = Table(show_edge=False, box=None, pad_edge=False, header_style="dim")
    for name in columns:
        drawn.add_column(name, overflow="fold", justify="right" if name in _NUMBERS else "left")
    return drawn


_NUMBERS: Sequence[str] = ("score", "alike", "seconds", "turn")


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
