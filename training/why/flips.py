"""What would have changed the answer. Every flip was played: `decide` was asked again with the change.

Tried are: each intent that people or the classifiers offer, an example of that intent with these very words, the
in-scope score at its threshold, a clear lead of the best intent, the floor of the knowledge base, other values of each
slot, and the text without the words that counted most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.program import Program, Slot
from bot.core.script import SlotWas
from training.why.rehearsal import Change, Played, Scene, play
from training.why.values import Flip, Removal

_INTENTS = 2
"""How many of the classifiers' candidates are tried."""
_SHOWN = 2
"""How many values of one slot are told."""
_MOST_SLOTS = 40
_LITTLE = 0.001
_SLOT = re.compile(r"slots\.(\w+)")
_COMPARED = re.compile(r"""slots\.(\w+)\s*(?:[=!<>]=?|contains)\s*("[^"]*"|'[^']*'|-?\d+(?:\.\d+)?)""")
"""A slot and what a condition compares it with."""


@dataclass(frozen=True, slots=True)
class Added:
    """What the classifiers say of the text once it is an example of `intent`; `command` is how to make it one."""

    intent: str
    understood: ev.Understood
    command: str = ""


@dataclass(frozen=True, slots=True)
class Trials:
    """What to try besides what the log itself suggests.

    `corrected` are intents that people gave. `removal` is the text without some words, understood as `removed`.
    """

    corrected: tuple[str, ...] = ()
    taught: tuple[Added, ...] = ()
    removal: Removal | None = None
    removed: ev.Understood | None = None
    near: tuple[str, ...] = field(default=())


def flips(scene: Scene, trials: Trials) -> tuple[Flip, ...]:
    """All that was tried and does something else, and the intents that would have done the same."""
    base = play(scene, Change())
    found = [
        *_by_intent(scene, base, trials),
        *_by_scope(scene, base),
        *_by_margin(scene, base),
        *_by_floor(scene, base),
        *_by_words(scene, base, trials),
        *by_slots(scene, base),
    ]
    return tuple(found)


def wishes(found: ev.Understood, trials: Trials) -> tuple[str, ...]:
    """The intents to try: what people said, then what the classifiers had next, then what similar examples have."""
    acted = found.intents[0].name if found.accepted else ""
    ranked = [item.name for item in found.intents[: _INTENTS + 1]]
    names = dict.fromkeys([*trials.corrected, *ranked, *trials.near])
    return tuple(name for name in names if name and name != acted)[: max(_INTENTS, len(trials.corrected) + 1)]


def meant(found: ev.Understood, intent: str) -> ev.Understood:
    """As if the text had been understood as this intent without doubt."""
    rest = tuple(item.model_copy(update={"score": 0.0}) for item in found.intents if item.name != intent)
    best = ev.Scored(name=intent, score=1.0)
    return found.model_copy(update={"intents": (best, *rest), "in_scope": 1.0, "supported": True, "source": "model"})


def _flip(kind: str, change: str, base: Played, played: Played, command: str = "") -> Flip:
    fields = {"kind": kind, "change": change, "does": played.does, "same": played.does == base.does}
    return Flip.model_validate({**fields, "command": command, "assumed": played.assumed})


def _by_intent(scene: Scene, base: Played, trials: Trials) -> Iterator[Flip]:
    taught = {item.intent: item for item in trials.taught}
    for name in wishes(scene.understood, trials):
        known = taught.get(name)
        if known is not None and known.understood.accepted and known.understood.intents[0].name == name:
            played = play(scene, Change(understood=known.understood))
            score = known.understood.intents[0].score
            what = f"these words as an example of {name} (then understood as {name} {score:.2f})"
            yield _flip("example", what, base, played, known.command)
            continue
        played = play(scene, Change(understood=meant(scene.understood, name)))
        yield _flip("intent", f"understood as {name}", base, played, known.command if known else "")


def _by_scope(scene: Scene, base: Played) -> Iterator[Flip]:
    found = scene.understood
    if found.accepted or not found.intents:
        return
    played = play(scene, Change(understood=found.model_copy(update={"in_scope": found.threshold})))
    if played.does != base.does:
        change = f"in scope {found.threshold:.2f} or more for {found.intents[0].name} (it was {found.in_scope:.2f})"
        yield _flip("scope", change, base, played)


def _by_margin(scene: Scene, base: Played) -> Iterator[Flip]:
    """A lead of the best intent that ends the doubt between two."""
    found, margin = scene.understood, scene.program.behaviour.clarify_margin
    if len(found.intents) < 2 or found.intents[0].score - found.intents[1].score >= margin:
        return
    best, second, *_ = found.intents
    lead = tuple(
        item.model_copy(update={"score": min(item.score, max(0.0, best.score - margin - _LITTLE))})
        for item in found.intents[1:]
    )
    played = play(scene, Change(understood=found.model_copy(update={"intents": (best, *lead)})))
    if played.does != base.does:
        apart = best.score - second.score
        yield _flip("margin", f"{best.name} {margin:.2f} ahead of {second.name} (it was {apart:.2f})", base, played)


def _by_floor(scene: Scene, base: Played) -> Iterator[Flip]:
    found = scene.retrieved
    if found is None or not found.hits:
        return
    best = found.hits[0]
    floor = best.score if best.score < found.floor else best.score + _LITTLE
    played = play(scene, Change(floor=floor))
    if played.does != base.does:
        side = f"{best.score:.3f} or lower" if best.score < found.floor else f"above {best.score:.3f}"
        yield _flip("floor", f"a floor of {side} (it is {found.floor:.3f})", base, played)


def _by_words(scene: Scene, base: Played, trials: Trials) -> Iterator[Flip]:
    if trials.removal is None or trials.removed is None:
        return
    words = ", ".join(repr(word) for word in trials.removal.words)
    played = play(scene, Change(understood=trials.removed))
    yield _flip("words", f"the text without {words} (then {trials.removal.intent})", base, played)


# Slots --------------------------------------------------------------------------------------------------------------


def by_slots(scene: Scene, base: Played) -> Iterator[Flip]:
    """Other values of slots, one slot at a time; what differs is told once."""
    written = _written(scene.program)
    named = [slot for slot in scene.program.slots.values() if slot.name in _near(scene)][:_MOST_SLOTS]
    for slot in named:
        now = scene.start.slots.get(slot.name, slot.initial)
        seen: list[tuple[str, ...]] = [base.does]
        for value in _values(slot, now, written.get(slot.name, ())):
            played = play(scene, Change(slots={slot.name: value}))
            if played.does not in seen and len(seen) <= _SHOWN:
                seen.append(played.does)
                yield _flip("slot", f"{slot.name} = {_plain(value)}", base, played)


def _plain(value: JsonValue) -> str:
    return "empty" if value is None else repr(value) if isinstance(value, str) else str(value).lower()


def _near(scene: Scene) -> frozenset[str]:
    """Slots that can matter: those of conditions, flows, forms, stories and response conditions."""
    program = scene.program
    conditions = {c.slot for found in program.responses.values() for one in found for c in one.conditions}
    collected = {name for flow in program.flows.values() for name in flow.collects}
    script = program.script
    told = {name for form in script.forms.values() for name in form.required} if script else set()
    telling = {slot.name for slot in program.telling} if script else set()
    mentioned = {name for text in _conditions(program) for name in _SLOT.findall(text)}
    return frozenset(conditions | collected | told | telling | mentioned)


def _conditions(program: Program) -> tuple[str, ...]:
    found = []
    for flow in program.flows.values():
        edges = [edge.when for step in flow.steps for edge in step.next]
        refused = [one.when for step in flow.collects.values() for one in step.rejections]
        found += [str(condition) for condition in (flow.guard, *edges, *refused) if condition is not None]
    return tuple(found)


def _written(program: Program) -> Mapping[str, Sequence[JsonValue]]:
    """Values that the author wrote down for slots: in response conditions, set steps and stories."""
    found: dict[str, list[JsonValue]] = {}
    for variations in program.responses.values():
        for one in variations:
            for condition in one.conditions:
                found.setdefault(condition.slot, []).append(condition.value)
    for text in _conditions(program):
        for name, literal in _COMPARED.findall(text):
            found.setdefault(name, []).append(_literal(literal))
    script = program.script
    for story in (*script.rules, *script.stories) if script else ():
        for step in story.steps:
            if isinstance(step, SlotWas) and not step.any:
                found.setdefault(step.name, []).append(step.value)
    return found


def _literal(text: str) -> JsonValue:
    return text[1:-1] if text[0] in "'\"" else float(text)


def _values(slot: Slot, now: JsonValue, written: Sequence[JsonValue]) -> Iterator[JsonValue]:
    """Values worth trying: those written down, those of the type, and none."""
    tried: list[JsonValue] = [now]
    options: dict[str, list[JsonValue]] = {
        "bool": [True, False],
        "categorical": list(slot.values),
        "float": [slot.minimum, slot.maximum],
        "list": [[]],
    }
    for value in (*options.get(slot.type, ["something else"]), *written, None):
        if value not in tried:
            tried.append(value)
            yield value
