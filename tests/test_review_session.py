"""A sitting in the terminal, driven by keys: what is shown, what is stored, what can be changed and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bot.cli.review_session import Session, Terminal, matches
from bot.core.events import Corrected
from bot.core.program import EntityType, Intent, Program
from bot.teaching.asking import Asker
from tests.fakes import MemoryStore
from tests.training.reviewing import LABELS, asked, desk
from training.judgements import Decision, fact, note
from training.review import queue
from training.review_items import Item

PROGRAM = Program(
    id="p",
    intents={name: Intent(name=name, label=label) for name, label in LABELS.items()},
    entities={"city": EntityType(name="city")},
)
TEXTS = ("parcel to Rome", "money for Ann", "hello parcel money")


class Person:
    """Presses keys and types lines in order; remembers what was shown."""

    def __init__(self, *keys: str) -> None:
        self.keys: Iterator[str] = iter(keys)
        self.shown: list[str] = []

    def read(self, prompt: str) -> str | None:
        return next(self.keys, None)

    async def sits(self, store: MemoryStore) -> Session:
        async def keep(decision: Decision, item: Item) -> None:
            await note(store, item.conversation, fact(decision, item.text, "ann", item.metadata()))

        async def nothing(done: int) -> None:
            pass

        asker = Asker(PROGRAM, self.shown.append, self.read)
        session = Session(Terminal(self.shown.append, self.read, self.read), LABELS, "oos", asker, keep)
        await session.run(queue(store.log, desk(), "ann", 9), nothing)
        return session


async def sat(folder: Path, *keys: str) -> tuple[list[Corrected], Session, Person]:
    store, person = await asked(folder, *TEXTS), Person(*keys)
    session = await person.sits(store)
    facts = sorted((r for r in store.log if isinstance(r.event, Corrected)), key=lambda r: r.position)
    return [r.event for r in facts if isinstance(r.event, Corrected)], session, person


async def test_a_confirmation_is_stored_as_a_label(tmp_path: Path) -> None:
    found, session, _ = await sat(tmp_path, "a", "a", "a")
    assert [(one.intent, one.by, one.source) for one in found] == [("track", "ann", "reviewer")] * 3
    assert session.summary() | {"audited": 0} == {
        "judged": 3, "accepted": 3, "relabelled": 0, "not_usable": 0, "audited": 0,
    }  # fmt: skip
    assert all(one.metadata["reason"] and one.metadata["of"] == 3 for one in found)


async def test_a_guess_none_of_ours_and_not_usable(tmp_path: Path) -> None:
    found, session, _ = await sat(tmp_path, "2", "o", "d")
    assert [one.intent for one in found][1:] == ["oos", None]
    assert found[0].intent == session.done[0][0].guesses[1].intent
    assert [one.usable for one in found] == [True, True, False]


async def test_intents_are_found_by_parts_of_their_names(tmp_path: Path) -> None:
    found, _, person = await sat(tmp_path, "r", "zzz", "", "r", "back", "r", "?", "2", "q")
    assert [one.intent for one in found] == ["refund", sorted([*LABELS, "oos"])[1]]
    assert "  no intent is like 'zzz'" in person.shown


def test_matching_prefers_the_very_name_then_parts_then_spelling() -> None:
    names = {"track": "Where is it", "track_late": "Late", "refund": "Money back"}
    assert matches("track", names) == ["track"]
    assert matches("tra", names) == ["track", "track_late"] and matches("money", names) == ["refund"]
    assert matches("refnud", names) == ["refund"] and matches("xyz", names) == []


async def test_a_new_intent_gets_its_texts(tmp_path: Path) -> None:
    found, session, person = await sat(tmp_path, "n", "Ürk", "Gift wrap", "n", "gift-wrap", "n", "track", "q")
    assert [one.intent for one in found] == ["gift_wrap", "gift_wrap", "track"]
    assert list(session.names) == ["gift_wrap"]
    assert any("expected a name" in line for line in person.shown)


async def test_undo_takes_back_and_asks_again(tmp_path: Path) -> None:
    found, session, person = await sat(tmp_path, "u", "n", "gift", "u", "a", "q")
    assert [(one.intent, one.withdrawn) for one in found] == [("gift", False), (None, True), ("track", False)]
    assert found[0].target == found[1].target and len({item.where for item, _ in session.done}) == 1
    assert "  there is nothing to undo in this sitting" in person.shown
    assert sum(line.startswith("[1/3]") for line in person.shown) == 2


async def test_spans_and_hidden_words_go_with_the_decision(tmp_path: Path) -> None:
    store = await asked(tmp_path, "parcel to Rome, Ann")
    person = Person("s", "parcel to [Rome](city), Ann", "x", "ann", "a")
    await person.sits(store)
    (found,) = [r.event for r in store.log if isinstance(r.event, Corrected)]
    assert found.entities and [(one.type, one.text) for one in found.entities] == [("city", "Rome")]
    assert found.hidden == ((16, 19),) and "  parcel to Rome, ███" in person.shown


async def test_other_keys_and_absent_words_change_nothing(tmp_path: Path) -> None:
    found, _, person = await sat(tmp_path, "z", "9", "x", "nowhere", "x", "", "a")
    assert len(found) == 1 and found[0].hidden == ()
    told = {"  there is no key 'z'", "  there is no key '9'", "  these words are not in the message"}
    assert told <= set(person.shown)


async def test_the_end_of_the_input_ends_the_sitting(tmp_path: Path) -> None:
    found, session, _ = await sat(tmp_path)
    assert found == [] and session.summary()["judged"] == 0


async def test_all_that_one_needs_is_shown(tmp_path: Path) -> None:
    _, session, person = await sat(tmp_path, "a", "q")
    item, shown = session.done[0][0], "\n".join(person.shown)
    assert f">>     user    {item.text}" in shown and "the bot understood: track" in shown
    assert all(guess.intent in shown for guess in item.guesses) and item.neighbours[0].text in shown
    assert item.shuffled or f"{item.guesses[0].probability:.2f}" in shown
