"""A conversation out of the log as JSONL, and the check that it still says the same.

One line per fact, complete, in order: `{"conversation","seq","turn","at","event":{"kind",...},"position"}`. `replay`
folds the facts again and asks `decide` at every recorded decision; what differs is how another program would have
acted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bot.core.conversation import Conversation, evolve
from bot.core.errors import InputError, NotFound
from bot.core.events import Erased, Predicted, Recorded
from bot.core.policy import decide
from bot.core.program import Program
from bot.core.protocols import EventStore
from bot.core.steps import Record, Step
from training.data import raw_lines


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that would be another one now. Decisions read `action argument`; `seq` is the recorded decision's."""

    turn: int
    seq: int
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The folded conversation, how many decisions were asked again, and those that came out differently."""

    conversation: Conversation
    decisions: int
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether every decision came out as recorded."""
        return not self.differences


async def export(conversation: str, store: EventStore) -> tuple[str, ...]:
    """The lines of a conversation's export, without line feeds.

    Raises:
        NotFound: the log has no such conversation, or it was erased.
    """
    history = await store.read(conversation)
    if not history or any(isinstance(recorded.event, Erased) for recorded in history):
        raise NotFound(f"the log has no conversation {conversation!r}")
    return tuple(recorded.model_dump_json() for recorded in history)


def read_export(path: Path) -> tuple[Recorded, ...]:
    """The facts of an exported conversation.

    Raises:
        NotFound: there is no such file.
        InputError: a line is not a fact; names it.
    """
    facts = []
    for where, line in raw_lines(path):
        try:
            facts.append(Recorded.model_validate_json(line))
        except ValidationError as error:
            raise InputError(f"{where}: expected a recorded fact, {error.errors()[0]['msg']}") from error
    if not facts:
        raise InputError(f"{path.name}: expected the facts of a conversation, found none")
    return tuple(facts)


def replay(history: Sequence[Recorded], program: Program) -> Replay:
    """Fold the facts and compare every recorded decision with what `decide` says before it.

    Raises:
        IllegalHistory: the facts cannot follow one another.
    """
    state = Conversation(id=history[0].conversation)
    decisions, differences = 0, []
    for recorded in history:
        event = recorded.event
        if isinstance(event, Predicted):
            decisions += 1
            now = next(_decisions(decide(state, program)), "another step")
            if now != _named(event):
                differences.append(Difference(recorded.turn, recorded.seq, _named(event), now))
        state = evolve(state, recorded)
    return Replay(state, decisions, tuple(differences))


def _decisions(step: Step) -> Iterator[str]:
    if isinstance(step, Record):
        yield from (_named(event) for event in step.events if isinstance(event, Predicted))


def _named(event: Predicted) -> str:
    return f"{event.action} {event.argument or ''}".strip()
