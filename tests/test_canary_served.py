"""A canary in a served bot, with real models: killed in between, a spoilt candidate is taken back by itself."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_bot
from bot.bundles import BundleStore
from bot.manifest import Draft
from tests.commands import bot
from tests.fakes import tell
from tests.test_cli import Server
from tests.trained import small_bot

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_bot(tmp_path_factory), tmp_path_factory.mktemp("bots") / "my-bot"))


def spoilt(root: Path) -> str:
    """A bundle that is whole, loads, and understands nothing: its threshold is above one."""
    bundles = BundleStore(root / ".bot" / "models")
    current = bundles.open_current()
    assert current is not None

    def fill(stage: Path) -> Draft:
        shutil.copytree(current.path, stage, dirs_exist_ok=True)
        (stage / "manifest.json").unlink()
        head = stage / "intent" / "intent.json"
        head.write_text(json.dumps({**json.loads(head.read_text()), "threshold": 1.01}))
        return Draft(**{name: getattr(current.manifest, name) for name in Draft.model_fields})

    return bundles.create(fill).id


def state(server: Server) -> Any:
    return server.get("/api/v1/admin/models").get("canary")


def begun_with(server: Server, candidate: str) -> bool:
    found = state(server)
    return bool(found) and found["candidate"] == candidate and found["stages"][0]["position"] >= 0


def say(server: Server, sender: str, tries: int = 5) -> str:
    """What is answered. A busy log refuses before it takes a message: then it is sent again, as clients do."""
    body = json.dumps({"sender": sender, "message": "hello"}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/webhooks/rest/webhook", data=body)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return " ".join(message.get("text", "") for message in json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        if error.code != 503 or tries == 1:
            raise
    time.sleep(0.2)
    return say(server, sender, tries - 1)


def test_a_spoilt_candidate_is_taken_back_though_the_server_was_killed_in_between(root: Path) -> None:
    candidate, first = spoilt(root), Server(root)
    first.wait(lambda: first.get("/readyz")["ready"])
    begun = bot("models", "promote", candidate, "--canary", "--shares", "20,50", "--minutes", "0", "-p", root)
    assert begun.code == 0, begun.err
    first.wait(lambda: begun_with(first, candidate))
    for number in range(3):
        say(first, f"early{number}")
    first.process.kill()
    first.process.communicate()
    server = Server(root)
    try:
        server.wait(lambda: server.get("/readyz")["ready"])
        server.wait(lambda: sum(state(server)["turns"]) == 3)  # counted from the log
        for number in range(300):
            say(server, f"user{number}")
            if number % 5 == 4 and state(server)["state"] != "running":
                break
        server.wait(lambda: state(server)["state"] == "rolled_back", 5)
        assert all("assistant" in say(server, f"user{number}") for number in range(10))
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as metrics:
            assert b"understudy_canary_rollbacks_total 1.0" in metrics.read()
    finally:
        server.process.terminate()
        log = server.process.communicate(timeout=15)[1]
    assert "the canary was rolled back" in log
    listed = bot("models", "list", "-p", root)
    assert f"{candidate} was rolled back" in listed.out and "harm" in listed.out


async def past(root: Path) -> None:
    async with open_bot(root) as served:
        for words in ("hello", "bye", "I want to talk to a human"):
            await tell(served.manager, words, conversation="past")


def test_a_spoilt_bundle_changes_past_turns_and_the_weeks_are_reported(root: Path) -> None:
    asyncio.run(past(root))
    ran = bot("replay", "--with", spoilt(root), "-p", root, "--json")
    mine = [item for item in ran.json["changed"] if item["conversation"] == "past"]
    assert [item["intents"][1] for item in mine] == ["oos"] * 3 and mine[0]["kinds"][0] == "route"
    watched = bot("monitor", root, "--json")
    assert watched.code == 0 and watched.json["weeks"][0]["messages"] >= 3
    assert "| week of |" in Path(watched.json["report"]).read_text()


def test_two_servers_of_one_project_take_a_spoilt_candidate_back_together(root: Path) -> None:
    candidate, servers = spoilt(root), [Server(root), Server(root)]
    try:
        for server in servers:
            server.wait(lambda server=server: server.get("/readyz")["ready"], 120)
        begun = bot("models", "promote", candidate, "--canary", "--shares", "20,50", "--minutes", "0", "-p", root)
        assert begun.code == 0, begun.err
        for server in servers:
            server.wait(lambda server=server: begun_with(server, candidate), 60)
        position = state(servers[0])["stages"][0]["position"]
        for number in range(300):
            say(servers[number % 2], f"pair{number}")
            if number % 5 == 4 and state(servers[0])["state"] != "running":
                break
        for server in servers:
            server.wait(lambda server=server: state(server)["state"] == "rolled_back", 60)
            assert state(server)["stages"][0]["position"] == position
            assert all("assistant" in say(server, f"pair{number}") for number in range(10))
        talks = sum(sum(stage["talks"]) for stage in state(servers[1])["stages"])
        assert talks > 0.55 * number  # those of both: each counts the whole log, up to the moment of the decision
    finally:
        for server in servers:
            server.process.terminate()
        logs = [server.process.communicate(timeout=60)[1] for server in servers]
    assert any("the canary was rolled back" in log for log in logs)
    assert not any("Traceback" in log for log in logs)
    history = BundleStore(root / ".bot" / "models").history()
    assert [line.id for line in history if line.action == "withdraw"].count(candidate) == 1  # one of them wrote it down
