"""`POST /model/test/...`: test stories and labelled texts that come with a request, judged as Rasa reports them."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bot.core.errors import InputError
from bot.core.events import Entity
from bot.core.program import Program
from bot.core.protocols import Understanding
from bot.core.rasa.parse import rasa_parse, read_entities
from bot.project.markup import parse_markup
from bot.testing.figures import NO_ENTITY, Pair, classification, words
from bot.testing.playing import Check, Subject, play_stories
from bot.testing.reading import read_stories
from bot.yaml import Node, parse_yaml

_EXTRACTOR = "DIETClassifier"
Parse = Callable[[str], Awaitable[Understanding]]


class Labelled(NamedTuple):
    """A text with what it means."""

    text: str
    intent: str
    entities: tuple[Entity, ...] = ()


async def test_stories(text: str, subject: Subject) -> dict[str, Any]:
    """Play stories; a report on the actions as Rasa gives it.

    Raises:
        ProjectError: the stories cannot be read; with the line.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test_stories.yml"
        path.write_text(text, "utf-8")
        stories = read_stories(path)
    if not stories:
        raise InputError("there are no stories in the request body; write them under `stories:`")
    tested = await play_stories(stories, subject)
    checks = [check for one in tested for check in one.checks if check.kind in ("action", "listen")]
    return {
        **_summary([(check.expected, check.got) for check in checks]),
        "actions": [_action(check) for check in checks],
        "in_training_data_fraction": 0.0,
        "conversation_accuracy": sum(one.passed for one in tested) / len(tested),
    }


def _action(check: Check) -> dict[str, Any]:
    policy = check.policy or None
    return {"action": check.expected, "predicted": check.got, "policy": policy, "confidence": check.confidence}


def _summary(found: Sequence[Pair], f1: str = "f1") -> dict[str, Any]:
    report = classification(found)
    mean = report["weighted avg"]
    assert isinstance(mean, dict)
    return {
        "report": report,
        "precision": mean["precision"],
        f1: mean["f1-score"],
        "accuracy": report["accuracy"],
    }


async def test_intents(text: str, parse: Parse, program: Program) -> dict[str, Any]:
    """Understand labelled texts; reports on intents, entities and chosen responses as Rasa gives them.

    Raises:
        InputError, ProjectError: there are no such texts, or they cannot be read.
    """
    rows = list(read_labelled(text))
    if not rows:
        raise InputError("there are no labelled texts in the request body; write them under `nlu:`")
    found = [await parse(row.text) for row in rows]
    told = [rasa_parse(each, program) for each in found]
    return {
        "intent_evaluation": _intents(rows, told),
        "entity_evaluation": _entities(rows, found),
        "response_selection_evaluation": _responses(rows, found),
    }


def _intents(rows: Sequence[Labelled], told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gold = [row.intent.partition("/")[0] for row in rows]
    intents = [each["intent"] for each in told]
    predictions = [
        {"text": row.text, "intent": right, "predicted": got["name"], "confidence": got["confidence"]}
        for row, right, got in zip(rows, gold, intents, strict=True)
    ]
    errors = [
        {"text": row.text, "intent": right, "intent_prediction": {"name": got["name"], "confidence": got["confidence"]}}
        for row, right, got in zip(rows, gold, intents, strict=True)
        if got["name"] != right
    ]
    pairs = [(right, str(got["name"])) for right, got in zip(gold, intents, strict=True)]
    return {"predictions": predictions, **_summary(pairs, "f1_score"), "errors": errors}


def _entities(rows: Sequence[Labelled], found: Sequence[Understanding]) -> dict[str, Any] | None:
    """One report for all our extractors together, under the name of Rasa's usual one."""
    if not any(row.entities for row in rows):
        return None
    checks = [
        Check("entities", "", "", "", said=row.text, gold=row.entities, found=tuple(each.entities))
        for row, each in zip(rows, found, strict=True)
    ]
    pairs = [pair for check in checks for pair in words(check)]
    report = classification(pairs, leave_out=NO_ENTITY)
    mean = report["weighted avg"]
    assert isinstance(mean, dict)
    right = sum(gold == got for gold, got in pairs) / len(pairs)
    named = {"precision": mean["precision"], "f1_score": mean["f1-score"], "accuracy": right}
    return {_EXTRACTOR: {"report": report, **named}}


def _responses(rows: Sequence[Labelled], found: Sequence[Understanding]) -> dict[str, Any] | None:
    pairs = [
        (row.intent, each.intents[0].name if each.intents else "")
        for row, each in zip(rows, found, strict=True)
        if "/" in row.intent
    ]
    return _summary(pairs, "f1_score") if pairs else None


def read_labelled(text: str) -> Iterator[Labelled]:
    """The texts of Rasa's NLU data: YAML (`nlu:`), or JSON (`rasa_nlu_data`, or a list of examples).

    Raises:
        InputError, ProjectError: it is neither.
    """
    top = parse_yaml(text, "request")
    if isinstance(top.value, list):
        yield from _examples(top.plain())
    elif "rasa_nlu_data" in top.map:
        data = top.map["rasa_nlu_data"].plain()
        yield from _examples(data.get("common_examples") if isinstance(data, dict) else None)
    elif "nlu" in top.map:
        for item in top.map["nlu"].items:
            yield from _of_intent(item)
    else:
        raise InputError("labelled texts come as `nlu:` in YAML, or as 'rasa_nlu_data' or a list in JSON")


def _of_intent(item: Node) -> Iterator[Labelled]:
    intent, examples = item.map.get("intent"), item.map.get("examples")
    if intent is None or examples is None:
        return
    lines = str(examples.value).splitlines() if isinstance(examples.value, str) else [
        str(each.map["text"].value) for each in examples.items if "text" in each.map
    ]  # fmt: skip
    for line in lines:
        example = line.strip().removeprefix("-").strip()
        if example:
            marked = parse_markup(example)
            yield Labelled(marked.text, str(intent.value), marked.entities)


def _examples(raw: object) -> Iterator[Labelled]:
    if not isinstance(raw, list):
        raise InputError("a list of examples was expected, each with 'text' and 'intent'")
    for item in raw:
        if isinstance(item, dict) and item.get("text") and item.get("intent"):
            text = str(item["text"])
            yield Labelled(text, str(item["intent"]), read_entities(item.get("entities"), text))
