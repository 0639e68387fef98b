"""A person is forgotten by `bot erase`: real models, real commands, every byte of the project searched."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.app import load_encoder
from bot.cli.main import app
from bot.core.errors import InputError
from bot.project import load_project
from bot.store import SqlStore
from training.gather import Sources, gather
from training.importer import import_file
from training.loop import LearnRequest, learn
from training.sides import SplitOptions
from training.standard import StandardWorkshop

CANARY = "zebraquartz"
SAID = f"good evening, {CANARY} here, my order 48213 went to {CANARY}@example.org"
ROWS = (("mine", SAID), ("theirs", "good evening to you"), ("more", "what a fine day, hello"))


def bot(*arguments: object, code: int = 0) -> str:
    """Run a verb in this process; what it printed."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == code, ran.output
    return ran.stdout


def as_json(*arguments: object) -> Any:
    return json.loads(bot(*arguments, "--json"))


def holding(root: Path) -> list[str]:
    return [str(path) for path in root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes().lower()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with three conversations in its log, and the file that they came from."""
    root = tmp_path / "bot"
    bot("init", root, "--template", "empty")
    talks = [
        {"id": name, "turns": [{"speaker": "user", "text": text, "correction": {"intent": "greet"}}]}
        for name, text in ROWS
    ]
    (root / "old.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))

    async def fill() -> None:
        async with SqlStore(root / ".bot" / "log.db") as store:
            await import_file(root / "old.jsonl", store)

    asyncio.run(fill())
    return root


@pytest.mark.slow
def test_after_erase_no_byte_is_left_and_the_next_training_does_without(root: Path) -> None:
    project, state = load_project(root), root / ".bot"
    workshop = StandardWorkshop(load_encoder(project.settings, root))
    trained = learn(LearnRequest(project, state, state / "log.db", state / "models"), workshop).lesson.bundle
    assert len(holding(root)) >= 3
    done = as_json("erase", "mine", "-p", root, "--yes")
    assert trained in done["bundles"] and done["snapshots"] and done["remaining"] == []
    assert holding(root) == []
    assert "as it was signed" in bot("erase", "--check", done["receipt"], "-p", root)
    assert gather(Sources(project, state / "log.db"), SplitOptions()).seen == {"more", "theirs"}


def test_a_person_is_exported_and_asked(root: Path, tmp_path: Path) -> None:
    told = as_json("export", "mine", "-p", root)
    assert told["person"] == "mine" and CANARY in json.dumps(told["conversations"])
    lines = bot("export", "mine", "-p", root).splitlines()
    assert [json.loads(line)["event"]["kind"] for line in lines][:2] == ["started", "received"]
    bot("export", "mine", "-p", root, "-o", tmp_path / "mine.jsonl")
    assert (tmp_path / "mine.jsonl").read_text().splitlines() == lines
    assert as_json("consent", "mine", "no", "-p", root)["conversations"] == 1
    with pytest.raises(InputError, match="yes or no"):
        bot("consent", "mine", "maybe", "-p", root)


def test_a_person_is_erased_only_after_a_question(root: Path) -> None:
    bot("erase", "mine", "-p", root, code=1)
    assert len(holding(root)) == 2
    assert "old.jsonl" in bot("erase", "mine", "-p", root, "--yes")
    assert holding(root) == []


def test_old_conversations_expire(root: Path) -> None:
    with pytest.raises(InputError, match="retention_days"):
        bot("erase", "--expired", "-p", root, "--yes")
    with pytest.raises(InputError, match="name one"):
        bot("erase", "mine", "--expired", "-p", root)
    with (root / "bot.yml").open("a") as file:
        file.write("\nprivacy: {retention_days: 30}\n")
    assert len(as_json("erase", "--expired", "-p", root, "--yes")["conversations"]) == 3
    assert "nothing has expired" in bot("erase", "--expired", "-p", root, "--yes")
