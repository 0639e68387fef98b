"""What was acknowledged survives a power cut at any moment; and the test would notice if it did not."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.protocols import ActionResult
from bot.store import SqlStore
from tests.fakes import Actions, Shelf, inbound, managing, models
from tests.powercut import Cut, Disk, Image, connector, restore

CARELESS = {"PRAGMA synchronous = FULL": "PRAGMA synchronous = NORMAL", "PRAGMA synchronous": "SELECT 2"}
"""Turns durability off behind the store's back, and lies when it asks."""
_names = itertools.count()


@dataclass
class Script:
    """Turns of four conversations. `acknowledged` and `seen` grow as the client learns of commits."""

    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    seen: list[tuple[str, int]] = field(default_factory=list)

    def known(self) -> tuple[int, int]:
        return len(self.acknowledged), len(self.seen)

    async def play(self, store: SqlStore, turns: int) -> None:
        actions = Actions(action_order=lambda call: ActionResult(slots={"size": 1}, messages=("utter_hello",)))
        async with managing(store, models(retrieve=Shelf(), actions=actions)) as manager:
            for turn in range(turns):
                words = ("hello", "order", "returns")[turn % 3] + " x" * (turn % 50)
                conversation = f"c{turn % 4}"
                receipt = await manager.submit(inbound(words, f"k{turn}", conversation))
                self.acknowledged.append((conversation, receipt.seq))
                await receipt.settled()
                self.seen.append((conversation, receipt.turn))


async def play(folder: Path, turns: int, replaced: dict[str, str]) -> tuple[Script, list[Cut]]:
    script, disk = Script(), Disk()
    disk.note = script.known
    connect = connector(disk, f"powercut{next(_names)}", replaced)
    async with SqlStore(folder / "log.db", connect) as store:
        await script.play(store, turns)
        disk.cut()
    return script, disk.cuts


def survivors(image: Image, folder: Path) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The messages and the outcomes that an ordinary SQLite finds after the cut."""
    folder.mkdir()
    restore(image, folder)
    connection = sqlite3.connect(folder / "log.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return set(), set()
    rows = connection.execute("SELECT conversation, seq, turn, kind FROM events ORDER BY position").fetchall()
    connection.close()
    for conversation in {row[0] for row in rows}:
        seqs = [row[1] for row in rows if row[0] == conversation]
        assert seqs == list(range(1, len(seqs) + 1))
    received = {(row[0], row[1]) for row in rows if row[3] == "received"}
    return received, {(row[0], row[2]) for row in rows if row[3] == "settled"}


def lost(script: Script, cut: Cut, image: Image, folder: Path) -> int:
    """How much of what the client knew at the cut is gone."""
    acknowledged, seen = cut.note
    received, settled = survivors(image, folder)
    return len(set(script.acknowledged[:acknowledged]) - received) + len(set(script.seen[:seen]) - settled)


def images(cuts: list[Cut], every: int) -> Iterator[tuple[int, Cut, Image]]:
    for number, cut in enumerate(cuts):
        if number % every == 0 or number == len(cuts) - 1:
            yield number * 2, cut, cut.synced
            yield number * 2 + 1, cut, cut.torn


@pytest.mark.parametrize(("turns", "every"), [(40, 16), pytest.param(200, 1, marks=pytest.mark.slow)])
async def test_nothing_acknowledged_is_lost_at_any_sync(tmp_path: Path, turns: int, every: int) -> None:
    script, cuts = await play(tmp_path, turns, {})
    assert len(cuts) > turns
    for number, cut, image in images(cuts, every):
        assert lost(script, cut, image, tmp_path / f"cut{number}") == 0, f"cut {number}"


async def test_the_test_notices_a_log_that_is_not_durable(tmp_path: Path) -> None:
    script, cuts = await play(tmp_path, 40, CARELESS)
    assert sum(lost(script, cut, cut.synced, tmp_path / f"cut{n}") for n, cut in enumerate(cuts)) > 40


@pytest.mark.parametrize("every", [80, pytest.param(10, marks=pytest.mark.slow)])
async def test_after_a_power_cut_every_message_gets_its_one_outcome(tmp_path: Path, every: int) -> None:
    _, cuts = await play(tmp_path, 40, {})
    for number, _, image in images(cuts, every):
        folder = tmp_path / f"cut{number}"
        folder.mkdir()
        restore(image, folder)
        async with SqlStore(folder / "log.db") as store:
            async with managing(store) as manager:
                await manager.recover()
            log = [(item.conversation, item.turn, item.event) for item in await store.tail()]
        received = [(name, turn) for name, turn, event in log if isinstance(event, ev.Received)]
        settled = [(name, turn) for name, turn, event in log if isinstance(event, ev.Settled)]
        assert sorted(received) == sorted(settled)
