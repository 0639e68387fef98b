"""A conversation that leaves the log can be read back and replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.conversation import Conversation, evolve, fold
from bot.core.errors import InputError, NotFound
from bot.core.events import Event, Predicted, Received, Recorded, Scored, Started, Understood
from bot.core.messages import Message, Text
from bot.core.policy import decide
from bot.core.program import Program
from bot.core.steps import Record
from tests.fakes import MemoryStore, program
from training.exporter import export, read_export, replay


def talk(chosen: Program, intent: str) -> list[Recorded]:
    """A first turn as far as its decision."""
    message = Message(id="m1", parts=(Text(text="hello"),))
    understood = Understood(
        text="hello", language="en", intents=(Scored(name=intent, score=0.9),), in_scope=0.9, bundle="b"
    )
    facts: list[Event] = [
        Started(channel="web", sender="s"),
        Received(message=message, key="k", channel="web"),
        understood,
    ]
    history = [
        Recorded(conversation="c", seq=seq, turn=min(seq - 1, 1), at=float(seq), event=fact)
        for seq, fact in enumerate(facts, 1)
    ]
    step = decide(fold("c", history), chosen)
    assert isinstance(step, Record)
    for fact in step.events:
        history.append(Recorded(conversation="c", seq=len(history) + 1, turn=1, at=9.0, event=fact))
    return history


async def test_an_export_comes_back_as_it_was(tmp_path: Path) -> None:
    store, history = MemoryStore(), talk(program(), "greet")
    await store.append("c", 0, history)
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(await export("c", store)))
    assert list(read_export(path)) == list(await store.read("c"))


async def test_an_unknown_conversation_is_not_found() -> None:
    with pytest.raises(NotFound):
        await export("nobody", MemoryStore())


def test_a_line_that_is_no_fact_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("{}\n")
    with pytest.raises(InputError, match=r"c\.jsonl:1"):
        read_export(path)


def test_the_same_program_decides_the_same() -> None:
    history = talk(program(), "greet")
    found = replay(history, program())
    assert found.same
    assert found.decisions == 1
    assert found.conversation == fold("c", history)


def test_another_program_shows_where_it_would_differ() -> None:
    history = talk(program(), "greet")
    decided = next(item for item in history if isinstance(item.event, Predicted))
    found = replay(history, Program())
    assert [(item.turn, item.seq) for item in found.differences] == [(1, decided.seq)]
    assert not found.same


def test_replay_folds_everything() -> None:
    history = talk(program(), "greet")
    state = Conversation(id="c")
    for recorded in history:
        state = evolve(state, recorded)
    assert replay(history, program()).conversation == state
