"""What people showed in passing, as labels: `bot labels`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.output import as_json, console, is_project, progress, table
from bot.core.errors import NotFound

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.project import Project
    from training.labels import Label, Signals

HERE = Path()


def labels(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    show: Annotated[int, typer.Option("--show", min=0, help="How many labels to print.")] = 10,
    rule: Annotated[str, typer.Option(help="Print labels of this rule only.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Show what the log teaches though nobody labelled it: the rules, how far each is believed, and their labels."""
    from training.signals import RULES_BY_NAME

    if rule and rule not in RULES_BY_NAME:
        raise NotFound(f"there is no rule {rule!r}; there are {', '.join(RULES_BY_NAME)}")
    with progress(json) as advance:
        advance("reading the log", 0.0)
        found = _read(directory)
    standings = _standings(found)
    wanted = [label for label in found.labels if not rule or rule in {vote.rule for vote in label.behind}]
    if json:
        as_json({"rules": standings, "labels": [_told(label) for label in wanted], "turns": len(found.turns)})
        return
    _print_rules(standings, len(found.turns))
    _print_labels(found, wanted, show)


def _read(root: Path) -> Signals:
    """The signals of the log, as training would use them; the rule book is brought up to date."""
    from bot.app import load_encoder
    from bot.config import load_settings
    from bot.project import load_project
    from training.consent import cleared
    from training.gather import read_log
    from training.labels import RULES_FILE, RuleBook, read_signals
    from training.signals.similarity import of_vectors
    from training.signals.turns import texts, turns

    project: Project | None = load_project(root) if is_project(root) else None
    settings: Settings = project.settings if project else load_settings(root)
    path = settings.log_file(root)
    if not path.exists():
        raise NotFound(f"there is no log {path}; talk to the bot with bot serve, or bring old logs in with bot import")
    log = cleared(read_log(path), settings)
    alike = of_vectors(load_encoder(settings, root).vectors, texts(turns(log)))
    book = settings.state_folder(root) / RULES_FILE
    found = read_signals(log, RuleBook.load(book), alike)
    found.book.save(book)
    return found


def _standings(found: Signals) -> list[dict[str, Any]]:
    """A line for each rule."""
    from training.signals import RULES

    fired = Counter(place[0] for place in {(c.rule, c.conversation, c.turn) for c in found.candidates})
    made = Counter(name for label in found.labels for name in {vote.rule for vote in label.behind})
    agreed = found.agreement()
    lines = []
    for rule in RULES:
        standing = found.book.standing(rule)
        same, compared = agreed.get(rule.name, (0, 0))
        lines.append(
            {
                "rule": rule.name,
                "version": rule.version,
                "on": standing.on,
                "why": standing.why,
                "fired": fired[rule.name],
                "audited": standing.right + standing.wrong,
                "accuracy": round(standing.accuracy, 3),
                "low": round(standing.low, 3),
                "high": round(standing.high, 3),
                "labels": made[rule.name],
                "corrections_agreed": same,
                "corrections_compared": compared,
                "meaning": rule.meaning,
                "trap": rule.trap,
            }
        )
    return lines


def _print_rules(lines: Sequence[dict[str, Any]], turns: int) -> None:
    rows = [
        (
            line["rule"],
            "on" if line["on"] else "off",
            line["fired"],
            line["audited"],
            f"{line['accuracy']:.2f} ({line['low']:.2f} - {line['high']:.2f})",
            line["labels"],
            f"{line['corrections_agreed']}/{line['corrections_compared']}" if line["corrections_compared"] else "",
        )
        for line in lines
    ]
    columns = ["rule", "", "fired", "audited", "right", "labels", "agree"]
    table(f"What {turns} turns of the log teach by themselves; `right` with its 90 % interval", columns, rows)
    if not any(line["audited"] for line in lines):
        console.print("Nobody has judged turns drawn at random yet, so the shares are what each rule starts with.")
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if not line["on"]:
            reasons.setdefault(line["why"], []).append(line["rule"])
    for why, names in reasons.items():
        console.print(f"Off, {why}: {', '.join(names)}.", markup=False)
    console.print(
        "Corrections are about turns that somebody found worth a look, so agreeing with them is no measure.",
        style="dim",
    )


def _print_labels(found: Signals, wanted: Sequence[Label], show: int) -> None:
    """A sample of what nobody labelled on purpose, spread evenly over the log."""
    texts = {(turn.conversation, turn.turn): turn.text for turn in found.turns}
    shown = [label for label in wanted if not label.human]
    step = max(1, len(shown) // show) if show else 1
    rows = [
        (
            shorten(texts[label.conversation, label.turn], 56, placeholder=" ..."),
            shorten(label.value, 28, placeholder=" ..."),
            label.task,
            round(label.confidence, 2),
            ", ".join(vote.rule for vote in label.behind) or "against: " + label.provenance[0].rule,
            f"{label.conversation} {label.turn}",
        )
        for label in shown[::step][:show]
    ]
    if rows:
        table(
            f"{len(rows)} of {len(shown)} labels that nobody gave", ["text", "label", "of", "sure", "by", "where"], rows
        )


def _told(label: Label) -> dict[str, Any]:
    return {
        "conversation": label.conversation,
        "turn": label.turn,
        "task": label.task,
        "value": label.value,
        "confidence": label.confidence,
        "human": label.human,
        "provenance": label.provenance,
    }


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(labels)
