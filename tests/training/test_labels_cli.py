"""`bot labels`: what a log teaches by itself, told to people and to programs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import main
from bot.store import SqlStore
from training.importer import import_file

pytestmark = pytest.mark.slow
Bot = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bot:
    """Runs the command line; its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bot", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, " ".join(printed.err.split())

    return run


def asked(name: str, text: str, rating: int, **more: object) -> dict[str, Any]:
    turn = {"speaker": "user", "text": text, "intent": "hours", **more}
    answer = {"speaker": "bot", "text": "Until six.", "rating": rating}
    return {"id": name, "outcome": "resolved", "turns": [turn, answer]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    audited = {"correction": {"intent": "hours", "audit": True}}
    rows = [asked("one", "are you open on Sundays", 1), asked("two", "when do you close", 1, **audited)]
    rows.append(asked("three", "is it raining", -1))
    (tmp_path / "old.jsonl").write_text("\n".join(map(json.dumps, rows)))

    async def bring() -> None:
        async with SqlStore(tmp_path / ".bot" / "log.db") as store:
            await import_file(tmp_path / "old.jsonl", store)

    asyncio.run(bring())
    return tmp_path


def test_labels_are_shown_with_their_rules(bot: Bot, root: Path) -> None:
    code, out, _ = bot("labels", root)
    assert code == 0
    assert "answer_accepted" in out
    assert "are you open on Sundays" in out
    assert "is it raining" not in out
    assert "Off, not proven yet" in out


def test_programs_get_all_of_it(bot: Bot, root: Path) -> None:
    code, out, _ = bot("labels", root, "--json")
    assert code == 0
    told = json.loads(out)
    rules = {line["rule"]: line for line in told["rules"]}
    accepted = rules["answer_accepted"]  # each of the two turns tells an intent and an answer
    assert (accepted["fired"], accepted["audited"], accepted["labels"], accepted["on"]) == (2, 1, 4, True)
    assert (rules["thumb_down"]["on"], rules["thumb_down"]["fired"]) == (False, 1)
    assert all(label["provenance"] and label["provenance"][0]["events"] for label in told["labels"])
    saved = json.loads((root / ".bot" / "learn" / "rules.json").read_text())
    assert saved["rules"]["answer_accepted"]["answers"][0][1] is True


def test_mistakes_say_what_to_do(bot: Bot, root: Path, tmp_path: Path) -> None:
    code, _, error = bot("labels", root, "--rule", "nonsense")
    assert code == 2
    assert "answer_accepted" in error
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, error = bot("labels", empty)
    assert code == 2
    assert "bot import" in error
