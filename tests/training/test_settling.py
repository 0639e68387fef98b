"""What turns meant, from their words and from what happened after them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from bot.core.events import Scored
from bot.core.messages import Choice
from training.labels import RuleBook, Signals
from training.rows import Mark, Row
from training.settling import DOUBTFUL, LEAST_TURNS, SETTLED, settled
from training.signals import Candidate, LoggedTurn
from training.signals.turns import Correction

INTENTS = ("refund", "send", "track")
TURNS = LEAST_TURNS + 150
UNDERSTOOD, CLOSES, CLOSES_ALL_THE_SAME = 0.75, 0.6, 0.1


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Near the direction of the first word, with noise of their own."""
    found = []
    for text in texts:
        random = np.random.default_rng(zlib.crc32(text.encode()))
        centre = np.random.default_rng(zlib.crc32(text.split()[0].encode())).normal(size=24)
        found.append(centre + 2.2 * random.normal(size=24))
    return np.array([vector / np.linalg.norm(vector) for vector in found], np.float32)


class Log:
    """Turns that a bot understood three times in four; after those, people close as resolved more often."""

    def __init__(self, count: int) -> None:
        random = np.random.default_rng(3)
        self.truth = [str(name) for name in random.choice(INTENTS, count)]
        wrong = [str(random.choice([name for name in INTENTS if name != right])) for right in self.truth]
        fine = random.random(count) < UNDERSTOOD
        self.acted = [a if ok else b for a, b, ok in zip(self.truth, wrong, fine, strict=True)]
        closed = random.random(count) < np.where(fine, CLOSES, CLOSES_ALL_THE_SAME)
        self.turns = [
            LoggedTurn(f"c{n}", 1, text=f"{right} {n}", intent=acted, outcome="done")
            for n, (right, acted) in enumerate(zip(self.truth, self.acted, strict=True))
        ]
        self.said = [self.sign(n) for n in np.flatnonzero(closed).tolist()]
        rows = [self.row(n, self.acted[n] if closed[n] else "") for n in range(count)]
        self.rows = [*(self.written(name, n) for name in INTENTS for n in range(4)), *rows]

    def sign(self, n: int) -> Candidate:
        return Candidate(f"c{n}", 1, "intent", self.acted[n], 1, "closed_resolved", 1, (n,))

    def row(self, n: int, intent: str) -> Row:
        marks = (Mark(rule="closed_resolved", events=(n,)),) if intent else ()
        return Row(
            id=str(n), text=self.turns[n].text, intent=intent, conversation=f"c{n}", turn=1, marks=marks, weight=0.8
        )

    @staticmethod
    def written(intent: str, n: int) -> Row:
        return Row(id=f"{intent}-{n}", text=f"{intent} example {n}", intent=intent, human=True)

    def settle(self, *changed: Row) -> dict[str, Row]:
        by_id = {row.id: row for row in (*self.rows, *changed)}
        signals = Signals(tuple(self.turns), tuple(self.said), RuleBook(), ())
        return {row.id: row for row in settled(list(by_id.values()), signals, vectors, lambda one, other: 1.0)}


@pytest.fixture(scope="module")
def log() -> Log:
    return Log(TURNS)


@pytest.fixture(scope="module")
def found(log: Log) -> dict[str, Row]:
    """Turn 0 was labelled by a person, wrongly; the customer of turn 1 measures."""
    person = replace_intent(log.row(0, "refund" if log.truth[0] != "refund" else "send"), human=True)
    return log.settle(person, log.row(1, "").model_copy(update={"side": "test"}))


def replace_intent(row: Row, **more: object) -> Row:
    return row.model_copy(update=more)


def teaching(found: dict[str, Row]) -> list[Row]:
    return [row for row in found.values() if row.conversation and row.side == "train" and not row.human and row.intent]


def test_turns_without_a_sign_are_labelled_better_than_the_bot_understood_them(log: Log, found: dict[str, Row]) -> None:
    silent = [row for row in teaching(found) if not any(mark.rule == "closed_resolved" for mark in row.marks)]
    right = np.mean([row.intent == log.truth[int(row.id)] for row in silent])
    assert len(silent) > TURNS / 4
    assert right > UNDERSTOOD + 0.1


def test_a_sign_that_the_words_contradict_is_overruled(log: Log, found: dict[str, Row]) -> None:
    fooled = [n for n in range(2, TURNS) if log.rows[n + 12].intent not in ("", log.truth[n])]
    mended = [n for n in fooled if found[str(n)].intent == log.truth[n] or found[str(n)].side == "out"]
    assert len(mended) > len(fooled) / 2


def test_what_is_settled_says_so_and_weighs_less_than_a_persons_word(found: dict[str, Row]) -> None:
    assert all(row.marks[-1].rule == SETTLED and 0.4 < row.weight < 1 for row in teaching(found))
    assert any(len(row.marks) == 2 and row.marks[1].events == row.marks[0].events for row in teaching(found))


class Twice(Log):
    """Some customers said clearly only the second time what they meant; of others the bot asked "did you mean"."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        random = np.random.default_rng(4)
        for n in range(200, 400):
            again = LoggedTurn(f"c{n}", 2, text=f"{self.truth[n]} again {n}", intent=self.acted[n], outcome="done")
            self.turns.append(again)
            self.rows.append(self.row(n, "").model_copy(update={"id": f"again-{n}", "text": again.text, "turn": 2}))
            self.turns[n] = replace(self.turns[n], text=f"well {n}")
            self.rows[n + 12] = self.rows[n + 12].model_copy(update={"text": f"well {n}"})
        self.said = [one for one in self.said if not 400 <= int(one.conversation[1:]) < 600]
        self.pressed: dict[int, int] = {}
        for n in range(400, 600):
            names = [str(name) for name in random.permutation(INTENTS)[:2]]
            lot = random.random()
            if self.truth[n] in names:
                self.press(n, names, names.index(self.truth[n]) if lot < 0.8 else 2)
            else:
                self.press(n, names, 0 if lot < 0.4 else 2)

    def press(self, n: int, names: list[str], which: int) -> None:
        offered = tuple(Choice(title=name, payload=f"/{name}") for name in names)
        scored = tuple(Scored(name=name, score=0.4) for name in INTENTS)
        asked = replace(self.turns[n], intent="", clarified=True, offered=offered, candidates=scored)
        self.turns[n], self.pressed[n], self.rows[n + 12] = asked, which, self.row(n, "")
        if which < 2:
            rule = ("chose_first_guess", "chose_other_guess")[which]
            self.said.append(Candidate(f"c{n}", 1, "intent", names[which], 1, rule, 1, (n,)))
        else:
            self.said += [Candidate(f"c{n}", 1, "intent", name, -1, "chose_none", 1, (n,)) for name in names]


@pytest.fixture(scope="module")
def twice() -> tuple[Twice, dict[str, Row]]:
    """A person said what the first words of customer 200 meant, not what the second ones did."""
    log = Twice(TURNS)
    word = replace_intent(log.row(200, log.truth[200]), human=True)
    return log, log.settle(word)


def test_words_that_were_said_again_are_read_together(twice: tuple[Twice, dict[str, Row]]) -> None:
    log, found = twice
    right = [found[str(n)].intent == log.truth[n] for n in range(201, 400)]
    assert np.mean(right) > UNDERSTOOD
    again = found["again-200"]
    assert (again.intent, again.side, again.human) == (log.truth[200], "train", False)


def test_the_first_button_is_believed_less_than_a_later_one(twice: tuple[Twice, dict[str, Row]]) -> None:
    log, found = twice
    first, later = ([n for n, which in log.pressed.items() if which == place] for place in (0, 1))
    sure = [np.mean([found[str(n)].marks[-1].confidence for n in pressed]) for pressed in (first, later)]
    assert sure[0] < sure[1]
    refused = [n for n, which in log.pressed.items() if which == 2 and found[str(n)].side == "train"]
    named = [{choice.title for choice in log.turns[n].offered} for n in refused]
    assert np.mean([found[str(n)].intent in names for n, names in zip(refused, named, strict=True)]) < 0.7


def test_what_people_labelled_and_what_measures_is_left_alone(log: Log, found: dict[str, Row]) -> None:
    assert found["0"].human and found["0"].intent != log.truth[0] and found["0"].weight == 0.8
    assert found["1"].intent == "" and found["1"].side == "test"


def test_doubtful_turns_do_not_teach(found: dict[str, Row]) -> None:
    doubtful = [row for row in found.values() if row.why == DOUBTFUL]
    assert doubtful and all(row.side == "out" and row.marks[-1].confidence < 0.5 for row in doubtful)


def test_a_small_log_is_left_as_it_is() -> None:
    small = Log(40)
    assert list(small.settle().values()) == small.rows


def test_turns_that_were_judged_at_random_tell_what_an_ending_is_worth(log: Log) -> None:
    truth = [Correction(right, None, "reviewer", True, 9) for right in log.truth]
    judged = Log(TURNS)
    judged.turns = [
        replace(turn, corrections=(word,)) if n < 100 else turn
        for n, (turn, word) in enumerate(zip(log.turns, truth, strict=True))
    ]
    again = judged.settle()
    assert np.mean([row.intent == log.truth[int(row.id)] for row in teaching(again)]) > UNDERSTOOD + 0.1
