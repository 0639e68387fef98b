"""What would have been done otherwise: past turns with a candidate bundle.

Each turn of the log that a model understood is looked at in the state in which it came: what was understood is replaced
by what the candidate understands, and `decide` is asked. Nothing outside is called: passages and what custom actions
brought are those of the log (`training.why.rehearsal`); where the log does not know them, the turn's steps end with
what would have been asked. Turns that another system answered are met as this bot would have met them. Later turns are
again looked at in the state that the log led to, since nobody knows what the user would have said to another answer.
Both sides are played by today's project, so only the models differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from bot.core import events as ev
from bot.core.conversation import evolve
from bot.core.messages import Value
from bot.core.policy import decide
from bot.core.program import Program
from bot.core.protocols import Understanding, Utterance
from bot.core.steps import Rank, Record
from training.evaluate import Understander
from training.examples import OOS
from training.why.chain import Turn, find, states, turns_of
from training.why.rehearsal import Change, Scene, play, scene

Kind = Literal["route", "action", "answer"]
_BATCH = 256
_SPOKEN = ("says ", "answers ", "asks ")
_RUNS = "runs "


class Changed(Value):
    """A turn whose next step changes. `kinds` tells what changes; `before` and `after` are the steps in words.

    `better` is what people's corrections say: True, False, or None where nobody judged the turn or both are wrong.
    `whole`: all steps are known on both sides.
    """

    conversation: str
    turn: int
    at: float
    text: str
    kinds: tuple[Kind, ...]
    intents: tuple[str, str]
    routes: tuple[str, str]
    before: tuple[str, ...]
    after: tuple[str, ...]
    better: bool | None = None
    whole: bool = True


class Replayed(Value):
    """`turns` were looked at, in `conversations`; `left_out` cannot be played again: a press, or too old a log."""

    bundle: str
    turns: int
    conversations: int
    left_out: int
    changed: tuple[Changed, ...]

    @property
    def kinds(self) -> dict[Kind, int]:
        """How many turns change in each way."""
        names: tuple[Kind, ...] = ("route", "action", "answer")
        return {kind: sum(kind in item.kinds for item in self.changed) for kind in names}


@dataclass(frozen=True, slots=True)
class _Past:
    """A turn that can be played again."""

    turn: Turn
    scene: Scene
    at: float
    right: str | None


def replay(
    history: Iterable[ev.Recorded],
    program: Program,
    candidate: Understander,
    bundle: str = "",
    since: float | None = None,
) -> Replayed:
    """Every turn whose next step the candidate changes, in the order of the log.

    `history` holds the facts of any conversations in the order of the log; turns before `since` (seconds since 1970)
    are only context.
    """
    talks: dict[str, list[ev.Recorded]] = {}
    for recorded in history:
        if isinstance(recorded.event, ev.Erased):
            talks.pop(recorded.conversation, None)
        else:
            talks.setdefault(recorded.conversation, []).append(recorded)
    heard = [(turn, facts) for facts in talks.values() for turn in _turns(facts, since)]
    past = [item for turn, facts in heard if (item := _past(turn, facts, program)) is not None]
    changed: list[Changed] = []
    for start in range(0, len(past), _BATCH):
        part = past[start : start + _BATCH]
        found = candidate.run([Utterance(text=item.scene.understood.text, now=item.at) for item in part])
        each = (_compared(*pair, bundle) for pair in zip(part, found, strict=True))
        changed += [item for item in each if item is not None]
    return Replayed(
        bundle=bundle,
        turns=len(past),
        conversations=len({item.turn.own[0].conversation for item in past}),
        left_out=len(heard) - len(past),
        changed=tuple(changed),
    )


def _turns(facts: Sequence[ev.Recorded], since: float | None) -> Iterable[Turn]:
    for number in turns_of(facts):
        turn = find(facts, number)
        if turn is not None and (since is None or turn.own[0].at >= since):
            yield turn


def _past(turn: Turn, facts: Sequence[ev.Recorded], program: Program) -> _Past | None:
    found = turn.understood
    if found is None or found.source != "model":
        return None
    staged = scene(turn, program) or _of_another(turn, found, program)
    if staged is None:
        return None
    return _Past(turn, staged, turn.own[0].at, _right(facts, turn.number))


def _of_another(turn: Turn, found: ev.Understood, program: Program) -> Scene | None:
    """A turn that another system answered, as this bot would have met it: nothing was looked up, no action ran."""
    start = next((state for state, event in states(turn) if event is found), None)
    if start is None or start.current is None or start.current.number != turn.number:
        return None
    return Scene(start, found, program, retrieved=None, brought={}, ranked=(), logged=())


def _right(facts: Sequence[ev.Recorded], number: int) -> str | None:
    """The intent that a person says was right; the latest word counts."""
    said = [
        recorded.event.intent
        for recorded in facts
        if isinstance(recorded.event, ev.Corrected) and recorded.event.target == number and recorded.event.intent
    ]
    return said[-1] if said else None


def _compared(past: _Past, found: Understanding, bundle: str) -> Changed | None:
    logged = past.scene.understood
    other = _understood(found, bundle)
    before, after = play(past.scene, Change()), play(past.scene, Change(understood=other))
    routes = _route(past.scene, logged), _route(past.scene, other)
    kinds = _kinds(routes, (before.does, after.does))
    if not kinds:
        return None
    intents = _intent(logged), _intent(other)
    return Changed(
        conversation=past.turn.own[0].conversation,
        turn=past.turn.number,
        at=past.at,
        text=logged.text,
        kinds=kinds,
        intents=intents,
        routes=routes,
        before=before.does,
        after=after.does,
        better=_better(intents, past.right),
        whole=before.whole and after.whole,
    )


def _understood(found: Understanding, bundle: str) -> ev.Understood:
    return found.as_fact().model_copy(update={"bundle": bundle})


def _route(staged: Scene, understood: ev.Understood) -> str:
    """The first choice that follows from what was understood, as "action argument"."""
    state = staged.start
    number = state.turn if state.current is None else state.current.number
    heard = ev.Recorded(conversation=state.id, seq=state.seq + 1, turn=number, at=state.at, event=understood)
    step = decide(evolve(state, heard), staged.program)
    if isinstance(step, Rank):
        return "learned ranking"
    chosen = [event for event in step.events if isinstance(event, ev.Predicted)] if isinstance(step, Record) else []
    return f"{chosen[0].action} {chosen[0].argument or ''}".strip() if chosen else ""


def _kinds(routes: tuple[str, str], does: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[Kind, ...]:
    kinds: list[Kind] = ["route"] if routes[0] != routes[1] else []
    if _those(does[0], _RUNS) != _those(does[1], _RUNS):
        kinds.append("action")
    if _those(does[0], *_SPOKEN) != _those(does[1], *_SPOKEN):
        kinds.append("answer")
    return tuple(kinds)


def _those(does: Sequence[str], *beginnings: str) -> list[str]:
    return [step for step, _ in groupby(does) if step.startswith(beginnings)]


def _intent(understood: ev.Understood) -> str:
    return understood.intents[0].name if understood.accepted else OOS


def _better(intents: tuple[str, str], right: str | None) -> bool | None:
    if right is None or intents[0] == intents[1] or right not in intents:
        return None
    return intents[1] == right
