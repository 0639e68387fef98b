"""Test conversations: YAML like Rasa's end-to-end test cases, played against the real bot and judged by its facts.

    test_cases:
    - test_case: order status
      tags: [happy]
      steps:
      - user: where is my parcel          # or `payload: 2`: press the second button of the last message that had any
        assertions:
        - flow_started: order_status
        - bot_uttered: {utter_name: utter_ask_order_id}

Every assertion is about the events of its own turn. `ASSERTIONS` lists them. Rasa's shorter steps `utter`, `bot`,
`slot_was_set` and `slot_was_not_set` count as assertions about the turn before them.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import ProjectError
from bot.core.events import Event
from bot.core.messages import Address, Choice, Inbound, Message, Text
from bot.core.protocols import Gateway
from bot.yaml import Node, describe, read_yaml


@dataclass(frozen=True, slots=True)
class Assertion:
    """One expectation, with its place in the file."""

    name: str
    value: JsonValue
    where: str


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One message of the user: words, or the number of a button (from 1)."""

    user: str
    button: int
    assertions: tuple[Assertion, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test conversation."""

    name: str
    tags: tuple[str, ...]
    steps: tuple[ScenarioStep, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold."""

    step: ScenarioStep
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a turn did: the user's words, the replies, every event."""

    said: str
    replies: tuple[Message, ...]
    events: tuple[Event, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario after it was played."""

    scenario: Scenario
    steps: tuple[StepResult, ...]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that did not hold."""
        return tuple(failure for step in self.steps for failure in step.failures)

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.failures


# Reading ------------------------------------------------------------------------------------------------------------


def read_scenarios(root: Path) -> tuple[Scenario, ...]:
    """All test conversations of a project folder (`tests/**/*.yml`) or of one file.

    Raises:
        ProjectError: with file and line, for anything that is not as described above.
    """
    base = root if root.is_dir() else root.parent
    files = sorted((root / "tests").rglob("*.y*ml")) if root.is_dir() else [root]
    return tuple(scenario for path in files for scenario in _read_file(path, str(path.relative_to(base))))


def _read_file(path: Path, name: str) -> list[Scenario]:
    top = read_yaml(path, name)
    cases = top.map.get("test_cases")
    return [_scenario(case) for case in cases.items] if cases else []


def _scenario(node: Node) -> Scenario:
    name, steps = node.map.get("test_case"), node.map.get("steps")
    if name is None or steps is None or not steps.items:
        raise ProjectError("expected a test case with `test_case` (its name) and `steps`", node.where)
    tags = node.map.get("tags")
    return Scenario(
        name=str(name.plain()),
        tags=tuple(str(tag.plain()) for tag in tags.items) if tags else (),
        steps=tuple(_steps(steps)),
        where=node.where,
    )


def _steps(nodes: Node) -> list[ScenarioStep]:
    found: list[ScenarioStep] = []
    for node in nodes.items:
        short = next((name for name in _SHORT if name in node.map), None)
        if short is None or not found:
            found.append(_step(node))
        else:
            found[-1] = replace(found[-1], assertions=(*found[-1].assertions, _short(short, node)))
    return found


def _short(name: str, node: Node) -> Assertion:
    """A step of Rasa's that says what the turn before it did."""
    value = node.map[name].plain()
    if name == "utter":
        return Assertion("bot_uttered", {"utter_name": value}, node.where)
    if name == "bot":
        return Assertion("bot_uttered", {"text_matches": f"^{re.escape(str(value).strip())}$"}, node.where)
    items = value if isinstance(value, list) else [value]
    return Assertion(name, [item for one in items for item in _slots_of(one)], node.where)


def _slots_of(item: JsonValue) -> list[JsonValue]:
    """Slots written as `name: value`, as what assertions take."""
    if not isinstance(item, dict) or "name" in item:
        return [item]
    return [{"name": name, "value": value} for name, value in item.items()]


_SHORT = ("utter", "bot", "slot_was_set", "slot_was_not_set")


def _step(node: Node) -> ScenarioStep:
    user, payload, wanted = node.map.get("user"), node.map.get("payload"), node.map.get("assertions")
    button = payload.plain() if payload else 0
    if (user is None) == (payload is None) or not isinstance(button, int):
        raise ProjectError(
            f"expected `user: words` or `payload: number of a button`, found {describe(node)}", node.where
        )
    assertions = tuple(_assertion(item) for item in wanted.items) if wanted else ()
    return ScenarioStep(str(user.plain()) if user else "", button, assertions, node.where)


def _assertion(node: Node) -> Assertion:
    entries = node.map
    if len(entries) != 1 or next(iter(entries)) not in ASSERTIONS:
        raise ProjectError(f"expected one of {', '.join(sorted(ASSERTIONS))}, found {describe(node)}", node.where)
    name, value = next(iter(entries.items()))
    return Assertion(name, value.plain(), node.where)


# Playing ------------------------------------------------------------------------------------------------------------


async def play(scenario: Scenario, gateway: Gateway, *, seconds: float = 30.0) -> Played:
    """Play one scenario as a new conversation; each turn must end within `seconds`."""
    conversation, steps, offered = f"test-{uuid.uuid4().hex}", [], _NO_CHOICES
    for step in scenario.steps:
        result = await _turn(step, gateway, conversation, offered, seconds)
        offered = next((m.choices for m in reversed(result.replies) if m.choices), offered)
        steps.append(result)
    return Played(scenario, tuple(steps))


_NO_CHOICES: tuple[Choice, ...] = ()


async def _turn(
    step: ScenarioStep, gateway: Gateway, conversation: str, offered: tuple[Choice, ...], seconds: float
) -> StepResult:
    if step.button > len(offered):
        failure = Failure(step, f"button {step.button}", f"{len(offered)} buttons: {[c.title for c in offered]}")
        return StepResult(f"[button {step.button}]", (), (), (failure,))
    words = offered[step.button - 1].payload if step.button else step.user
    key = uuid.uuid4().hex
    inbound = Inbound(
        address=Address(channel="test", conversation=conversation, sender="test"),
        message=Message(id=key, parts=(Text(text=words),)),
        key=key,
    )
    receipt = await gateway.submit(inbound)
    outcome = await asyncio.wait_for(receipt.settled(), seconds)
    recorded = await gateway.read(conversation, receipt.seq)
    events = tuple(item.event for item in recorded if item.turn == receipt.turn)
    shown = words if not step.button else f"[{offered[step.button - 1].title}]"
    return StepResult(shown, outcome.messages, events, judge(step, events))


def judge(step: ScenarioStep, events: Sequence[Event]) -> tuple[Failure, ...]:
    """The expectations of a step that its events do not meet."""
    failures = []
    for wanted in step.assertions:
        found = ASSERTIONS[wanted.name](wanted.value, events)
        if found is not None:
            failures.append(Failure(step, f"{wanted.name}: {wanted.value}", found))
    return tuple(failures)


# Judging: each function gives None when the expectation holds, else what was found instead --------------------------


def _among(value: JsonValue, found: Sequence[str]) -> str | None:
    return None if value in found else ", ".join(found) or "nothing"


def _flow_started(value: JsonValue, events: Sequence[Event]) -> str | None:
    return _among(value, [e.flow for e in events if isinstance(e, ev.FlowEntered)])


def _flow_left(reason: str) -> Callable[[JsonValue, Sequence[Event]], str | None]:
    def check(value: JsonValue, events: Sequence[Event]) -> str | None:
        return _among(value, [e.flow for e in events if isinstance(e, ev.FlowLeft) and e.reason == reason])

    return check


def _action(value: JsonValue, events: Sequence[Event]) -> str | None:
    said = [e.message.name for e in events if isinstance(e, ev.Replied) and e.message.name]
    return _among(value, [e.action for e in events if isinstance(e, ev.ActionRan)] + said)


def _intent(value: JsonValue, events: Sequence[Event]) -> str | None:
    return _among(value, [e.intents[0].name for e in events if isinstance(e, ev.Understood) and e.intents])


def _source(value: JsonValue, events: Sequence[Event]) -> str | None:
    return _among(value, [s.document for e in events if isinstance(e, ev.Replied) for s in e.message.sources])


def _routed(*actions: str) -> Callable[[JsonValue, Sequence[Event]], str | None]:
    def check(value: JsonValue, events: Sequence[Event]) -> str | None:
        found = [e.action for e in events if isinstance(e, ev.Predicted)]
        said = [e.message.name for e in events if isinstance(e, ev.Replied) and e.message.name in _NO_ANSWERS]
        held = any(action in actions for action in found) or ("no_answer" in actions and bool(said))
        return None if held is bool(value) else ", ".join([*found, *map(str, said)])

    return check


_NO_ANSWERS = ("utter_no_answer", "utter_ask_rephrase", "utter_unsupported_language")


def _handed_off(value: JsonValue, events: Sequence[Event]) -> str | None:
    held = any(isinstance(e, ev.HandedOff) for e in events)
    return None if held is bool(value) else ("handed off" if held else "not handed off")


def _clarification(value: JsonValue, events: Sequence[Event]) -> str | None:
    offered = [c.name for e in events if isinstance(e, ev.Predicted) and e.action == "clarify" for c in e.candidates]
    wanted = value if isinstance(value, list) else [value]
    return None if offered and set(map(str, wanted)) <= set(offered) else ", ".join(offered) or "no question"


def _slots(events: Sequence[Event]) -> dict[str, list[JsonValue]]:
    found: dict[str, list[JsonValue]] = {}
    for event in events:
        if isinstance(event, ev.SlotSet) and event.source != "reset":
            found.setdefault(event.name, []).append(event.value)
    return found


def _slot_set(value: JsonValue, events: Sequence[Event]) -> str | None:
    found = _slots(events)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and item not in found:
            return str(found)
        if isinstance(item, dict) and item.get("value") not in found.get(str(item.get("name")), []):
            return str(found)
    return None


def _slot_not_set(value: JsonValue, events: Sequence[Event]) -> str | None:
    found = _slots(events)
    for item in value if isinstance(value, list) else [value]:
        name = str(item.get("name")) if isinstance(item, dict) else str(item)
        forbidden = item.get("value") if isinstance(item, dict) and "value" in item else None
        if name in found and (forbidden is None or forbidden in found[name]):
            return str(found)
    return None


def _uttered(value: JsonValue, events: Sequence[Event]) -> str | None:
    messages = [e.message for e in events if isinstance(e, ev.Replied)]
    wanted: dict[str, JsonValue] = value if isinstance(value, dict) else {"text_matches": value}
    if any(_fits(message, wanted) for message in messages):
        return None
    return " | ".join(f"{m.name or 'text'}: {m.text}" for m in messages) or "nothing"


def _fits(message: Message, wanted: dict[str, JsonValue]) -> bool:
    name, text, buttons = wanted.get("utter_name"), wanted.get("text_matches"), wanted.get("buttons")
    if name is not None and message.name != name:
        return False
    if text is not None and not re.search(str(text), message.text, re.IGNORECASE):
        return False
    titles = [choice.title for choice in message.choices]
    expected = [b.get("title") if isinstance(b, dict) else b for b in buttons] if isinstance(buttons, list) else []
    return all(title in titles for title in expected)


def _not_uttered(value: JsonValue, events: Sequence[Event]) -> str | None:
    return "it was said" if _uttered(value, events) is None else None


ASSERTIONS: dict[str, Callable[[JsonValue, Sequence[Event]], str | None]] = {
    "flow_started": _flow_started,
    "flow_completed": _flow_left("completed"),
    "flow_cancelled": _flow_left("cancelled"),
    "action_executed": _action,
    "slot_was_set": _slot_set,
    "slot_was_not_set": _slot_not_set,
    "bot_uttered": _uttered,
    "bot_did_not_utter": _not_uttered,
    "intent": _intent,
    "source": _source,
    "handed_off": _handed_off,
    "no_answer": _routed("no_answer", "rephrase", "stay", "unsupported_language"),
    "clarification": _clarification,
}
"""What a step may assert, and how it is judged."""
