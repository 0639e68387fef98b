"""What a bundle's manifest says of the skills that were trained."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

from bot.manifest import DataSet, Metric, SkillCard
from training.data import data_set
from training.evaluate import Report
from training.examples import IntentExample, SlotExample
from training.gather import Gathered
from training.split import Split
from training.workshop import Made

_LOCKED = ("numpy", "onnxruntime", "peft", "pydantic", "safetensors", "scikit-learn", "tokenizers", "torch")
"""What a fit depends on besides ourselves."""


def card(skill: str, base: str, made: Made, data: Gathered, report: Report | None) -> SkillCard:
    """Of intents, entities or the ranking: from what it was trained, how, and how it did on held-out rows."""
    if skill == "ranking":
        return _ranking(base, made, data)
    sides: Split[IntentExample] | Split[SlotExample]
    sides, sources = (data.intents, data.intent_data) if skill == "intent" else _slot_side(data)
    return SkillCard(
        base=base,
        method=made.method,
        labels=made.labels,
        labels_sha=_labels_sha(made),
        data=(*sources, data_set("trained on", sides.train)),
        held_out=data_set("held out", sides.held_out),
        hyper_parameters=dict(made.hyper_parameters),
        metrics=_metrics(report),
        note=_note(len(sides.train), len(sides.held_out), sides.unmeasured),
    )


def _ranking(base: str, made: Made, data: Gathered) -> SkillCard:
    assert data.ranking is not None
    return SkillCard(
        base=base,
        method=made.method,
        labels=made.labels,
        labels_sha=_labels_sha(made),
        data=(data.ranking.described(),),
        hyper_parameters=dict(made.hyper_parameters),
        metrics=_metrics(made.report),
        note="trained on all stories; measured by models that did not know the stories they were asked about",
    )


def _metrics(report: Report | None) -> dict[str, Metric]:
    return {} if report is None else {name: Metric(**figure) for name, figure in report["metrics"].items()}


def _labels_sha(made: Made) -> str:
    return hashlib.sha256("\n".join(sorted(made.labels)).encode()).hexdigest()


def _slot_side(data: Gathered) -> tuple[Split[SlotExample], tuple[DataSet, ...]]:
    return data.slots, data.slot_data


def _note(trained: int, held_out: int, unmeasured: Sequence[str]) -> str:
    text = f"trained on {trained} rows; the {held_out} held-out rows were measured on and never trained on"
    return f"{text}; without a held-out row: {', '.join(unmeasured)}" if unmeasured else text


@cache
def versions() -> dict[str, JsonValue]:
    """The versions of what a fit depends on."""
    found: dict[str, JsonValue] = {}
    for name in (*_LOCKED, "understudy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
