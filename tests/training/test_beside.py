"""What `bot learn` does besides learning: it forgets what has expired, and says what it would have done."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bot.cli.beside import expire
from bot.project import load_project
from bot.store import SqlStore
from training.gather import read_log
from training.importer import import_file


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "domain.yml").write_text("intents: [buy]\nresponses:\n  utter_hi: [{text: Hi}]\n")
    talks = [
        {"id": f"talk-{year}", "turns": [{"speaker": "user", "text": "a kettle", "at": f"{year}-03-01T10:00:00Z"}]}
        for year in (2020, 2999)
    ]
    (tmp_path / "logs.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))

    async def brought() -> None:
        async with SqlStore(tmp_path / ".bot" / "log.db") as store:
            await import_file(tmp_path / "logs.jsonl", store)

    asyncio.run(brought())
    return tmp_path


def said(shop: Path) -> list[str]:
    return [fact.conversation for fact in read_log(shop / ".bot" / "log.db") if fact.event.kind == "received"]


def test_what_has_expired_is_forgotten_first(shop: Path) -> None:
    (shop / "bot.yml").write_text("name: Shop\nprivacy: {retention_days: 30}\n")
    (stage,) = expire(load_project(shop))
    assert stage.said.startswith("1 conversations forgotten, receipt ")
    assert said(shop) == ["talk-2999"]
    assert expire(load_project(shop))[0].said == "nothing has expired"


def test_a_project_that_keeps_everything_forgets_nothing(shop: Path) -> None:
    (shop / "bot.yml").write_text("name: Shop\n")
    assert expire(load_project(shop)) == ()
    assert len(said(shop)) == 2
