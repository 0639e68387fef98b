"""The checker notices every kind of bug that is planted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.core import events as ev
from tests.contracts import received, recorded, settled, started
from tests.fakes import text
from tests.history import History, Read, Sent, check


def reply(seq: int, turn: int) -> ev.Recorded:
    return recorded(seq, ev.Replied(message=text("hi", f"{turn}.1")), turn=turn)


LOG = [started(), received(2, "a"), reply(3, 1), settled(4), received(5, "b", turn=2), reply(6, 2), settled(7, turn=2)]
SENT = [Sent("a", 0, 1, "ok", 2), Sent("b", 2, 3, "ok", 5), Sent("a", 4, 5, "ok", 2), Sent("x", 6, 7, "fail")]


def seen() -> History:
    return History(
        sent=list(SENT), reads=[Read(0, 4, tuple(LOG)), Read(2, 1.5, tuple(LOG[2:4]))], shown=[text("hi", "1.1")]
    )


def test_a_right_history_passes() -> None:
    assert check(seen(), LOG) == []


def test_a_message_whose_fate_is_unknown_may_be_there_or_not() -> None:
    for key in ("b", "y"):
        history = History(sent=[Sent("a", 0, 1, "ok", 2), Sent(key, 2, 3, "info")])
        assert check(history, LOG) == []


Plant = Callable[[History, list[ev.Recorded]], None]


def swap(history: History, log: list[ev.Recorded]) -> None:
    history.sent[:] = [Sent("a", 4, 5, "ok", 2), Sent("b", 0, 1, "ok", 5)]


@pytest.mark.parametrize(
    ("rule", "plant"),
    [
        ("lost", lambda history, log: log.remove(LOG[1])),
        ("doubled", lambda history, log: log.append(received(8, "a", turn=3))),
        ("refused", lambda history, log: log.append(received(8, "x", turn=3))),
        ("order", swap),
        ("order", lambda history, log: history.sent.append(Sent("a", 8, 9, "ok", 3))),
        ("stale", lambda history, log: history.reads.append(Read(0, 9, tuple(LOG[:3])))),
        ("torn", lambda history, log: history.reads.append(Read(0, 0, (*LOG[:2], *LOG[3:])))),
        ("outcomes", lambda history, log: log.append(settled(8))),
        ("outcomes", lambda history, log: log.remove(LOG[3])),
        ("outcomes", lambda history, log: log.remove(LOG[2])),
        ("unseen", lambda history, log: history.shown.append(text("ghost", "1.1"))),
    ],
)
def test_a_planted_bug_is_caught(rule: str, plant: Plant) -> None:
    history, log = seen(), list(LOG)
    plant(history, log)
    assert any(problem.startswith(rule) for problem in check(history, log))
