"""The files of a test run, named and shaped as `rasa test` does.

`story_report.json`, `failed_test_stories.yml`, `stories_with_warnings.yml`, `story_confusion_matrix.png`;
`intent_report.json`, `intent_errors.json`, `intent_confusion_matrix.png`; `DIETClassifier_report.json` and
`DIETClassifier_errors.json`, which here are about all our extractors together; `successful_test_stories.yml` on demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bot.core.events import Entity
from bot.core.rasa.stories import Line, write_stories
from bot.testing.figures import NO_ENTITY, Pair, Report, aligned, classification, confused, pairs, shares, words
from bot.testing.picture import draw_confusion
from bot.testing.playing import Check, Compared, Judged

EXTRACTOR = "DIETClassifier"


def write_results(out: Path, tested: Sequence[Compared], *, successes: bool = False) -> list[Path]:
    """Write the files into folder `out`, which is made; gives their paths."""
    out.mkdir(parents=True, exist_ok=True)
    checks = [check for one in tested for check in one.checks]
    actions, intents = pairs(checks, "action", "listen"), pairs(checks, "intent")
    written = [*_stories(out, tested, successes), _json(out / "story_report.json", story_report(tested))]
    if actions:
        written.append(_picture(out / "story_confusion_matrix.png", actions, "Action confusion matrix"))
    if intents:
        written += _intents(out, checks, intents)
    said = [check for check in checks if check.kind == "entities"]
    if said:
        written += _entities(out, said, checks)
    return written


def story_report(tested: Sequence[Compared]) -> Report:
    """Actions, intents and entities in one report, and how many conversations were right from end to end."""
    checks = [check for one in tested for check in one.checks]
    entities = [pair for check in checks if check.kind == "entities" for pair in aligned(check)]
    report = classification([*pairs(checks, "action", "listen"), *pairs(checks, "intent"), *entities])
    stories = shares(tested)["stories"]
    counts = {"correct": stories.right, "with_warnings": 0, "total": stories.total}
    report["conversation_accuracy"] = {"accuracy": stories.value, **counts}
    return report


def _json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _picture(path: Path, found: Sequence[Pair], title: str) -> Path:
    draw_confusion(found, title, path)
    return path


# Stories ------------------------------------------------------------------------------------------------------------


def _stories(out: Path, tested: Sequence[Compared], successes: bool) -> Iterator[Path]:
    wrong = [one for one in tested if not one.passed]
    yield _yaml(out / "failed_test_stories.yml", wrong, "None of the test stories failed - all good!")
    yield _yaml(out / "stories_with_warnings.yml", [], "No warnings for test stories")
    if successes:
        right = [one for one in tested if one.passed]
        yield _yaml(out / "successful_test_stories.yml", right, "None of the test stories succeeded :(")


def _yaml(path: Path, tested: Sequence[Compared], otherwise: str) -> Path:
    path.write_text(story_text(tested) if tested else f"# {otherwise}\n", encoding="utf-8")
    return path


def story_text(tested: Iterable[Compared]) -> str:
    """Played stories as YAML, what was predicted instead as comments."""
    named = ((f"{one.story.name} ({one.story.where})", [_line(judged) for judged in one.steps]) for one in tested)
    return write_stories(named)


def _line(judged: Judged) -> Line:
    notes = [note(check) for check in judged.checks if not check.right]
    return judged.step.line._replace(comment="; ".join(notes))


def note(check: Check) -> str:
    """What was predicted instead, in a few words."""
    if check.kind == "listen":
        return f"predicted after it: {check.got}"
    return f"predicted: {check.got}"


# Intents and entities -----------------------------------------------------------------------------------------------


def _intents(out: Path, checks: Sequence[Check], found: Sequence[Pair]) -> Iterator[Path]:
    yield _json(out / "intent_report.json", confused(found, classification(found)))
    errors = [
        {"text": check.said, "intent": check.expected, "intent_prediction": _scored(check)}
        for check in checks
        if check.kind == "intent" and not check.right
    ]
    yield _json(out / "intent_errors.json", errors)
    yield _picture(out / "intent_confusion_matrix.png", found, "Intent confusion matrix")


def _scored(check: Check) -> dict[str, str | float]:
    return {"name": check.got, "confidence": round(check.confidence, 6)}


def _entities(out: Path, said: Sequence[Check], checks: Sequence[Check]) -> Iterator[Path]:
    plain = [check for check in checks if check.kind == "intent"]
    marked = {check.where for check in said}
    by_word = [pair for check in said for pair in words(check)]
    by_word += [(NO_ENTITY, NO_ENTITY) for check in plain if check.where not in marked for _ in check.said.split()]
    yield _json(out / f"{EXTRACTOR}_report.json", classification(by_word, leave_out=NO_ENTITY))
    errors = [
        {"text": check.said, "entities": _spans(check.gold), "predicted_entities": _spans(check.found)}
        for check in said
        if not check.right
    ]
    yield _json(out / f"{EXTRACTOR}_errors.json", errors)


def _spans(entities: Iterable[Entity]) -> list[dict[str, Any]]:
    return [
        {
            "start": entity.start,
            "end": entity.end,
            "value": entity.value,
            "entity": entity.type,
            **{key: value for key, value in (("role", entity.role), ("group", entity.group)) if value},
            **({"confidence_entity": entity.confidence, "extractor": entity.extractor} if entity.extractor else {}),
        }
        for entity in entities
    ]
