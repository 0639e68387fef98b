"""The command line from an empty folder to a served bot, with real models. One small project serves all tests."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core.events import Corrected
from tests.commands import COMMAND, bot, bot_apart
from tests.trained import small_bot
from training.gather import read_log

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project that tests only read, except for its log."""
    return Path(shutil.copytree(small_bot(tmp_path_factory), tmp_path_factory.mktemp("bots") / "my-bot"))


@pytest.fixture(scope="module")
def second(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second bundle of the project, which nobody uses yet."""
    root = Path(shutil.copytree(trained, tmp_path_factory.mktemp("bots") / "second"))
    ran = bot("train", root, "--seed", "1", "--keep", "--json")
    assert ran.code == 0, ran.err
    return root / ".bot" / "models" / str(ran.json["bundle"])


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil, without what other tests said."""
    return Path(shutil.copytree(trained, tmp_path / "bot", ignore=shutil.ignore_patterns("log.db*")))


def test_help_teaches() -> None:
    ran = bot("--help")
    assert ran.code == 0
    assert "bot init my-bot" in ran.out
    for verb in (
        "init",
        "ingest",
        "train",
        "chat",
        "serve",
        "parse",
        "test",
        "eval",
        "import",
        "review",
        "replay",
        "doctor",
    ):
        assert f"  {verb}" in ran.out


def test_mistakes_are_answered_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    full, nothing = bot("init", tmp_path), bot_apart("train", tmp_path / "none")
    assert (full.code, nothing.code) == (2, 2)
    assert "not an empty folder" in full.err and "bot init" in nothing.err
    assert "Traceback" not in full.err + nothing.err


def test_a_bot_without_models_says_how_to_get_them(tmp_path: Path) -> None:
    bot("init", tmp_path / "b", "--template", "empty")
    ran = bot("chat", tmp_path / "b")
    assert ran.code == 2 and "run: bot train" in ran.err


def test_the_projects_own_test_conversations_pass(trained: Path) -> None:
    ran = bot("test", trained)
    assert ran.code == 0, ran.out
    assert "3 passed, 0 failed" in ran.out


def test_a_failing_conversation_is_shown_with_what_was_said(project: Path) -> None:
    wrong = "test_cases:\n- test_case: wrong\n  steps:\n  - user: hello\n    assertions: [{flow_started: goodbye}]\n"
    (project / "tests" / "wrong.yml").write_text(wrong)
    ran = bot("test", project, "--only", "wrong", "--json")
    assert ran.code == 1
    (failed,) = ran.json["failed"]
    assert "found greet" in failed["failures"][0] and "tests/wrong.yml:4" in failed["failures"][0]


def test_a_script_is_played_with_the_time_of_each_stage(trained: Path) -> None:
    ran = bot_apart("chat", trained, "--script", trained / "tests" / "first.yml", "--trace")
    assert ran.code == 0
    assert "4 of 4 answers as expected" in ran.out
    assert all(stage in ran.out for stage in ("ack", "understand", "retrieve", "commit"))
    assert "source: When are we open?" in ran.out


def test_parse_shows_intent_and_entities(trained: Path) -> None:
    found = bot("parse", "put kim@example.net on your mailing list please", "-p", trained, "--json").json
    assert found["intents"][0]["name"] == "newsletter"
    assert [entity["value"] for entity in found["entities"]] == ["kim@example.net"]


def test_eval_measures_and_writes_a_report(trained: Path, tmp_path: Path) -> None:
    pairs = [("hello there", "greet"), ("bye bye", "goodbye")]
    rows = [json.dumps({"text": text, "intent": intent, "lang": "en"}) for text, intent in pairs]
    data, page = tmp_path / "rows.jsonl", tmp_path / "r.html"
    data.write_text("\n".join(rows) + "\n")
    found = bot("eval", "intent", "--data", data, "-p", trained, "--report", page, "--json")
    assert found.json["metrics"]["accuracy"]["n"] == 2
    assert "<svg" in page.read_text()


def test_bad_rows_are_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "hi"}\n')
    ran = bot("eval", "intent", "--data", tmp_path / "rows.jsonl", "-p", trained)
    assert ran.code == 2 and "rows.jsonl:1" in ran.err and "intent" in ran.err


def test_logs_are_imported_once_then_read_exported_and_erased(project: Path, tmp_path: Path) -> None:
    talk = {
        "id": "c1", "channel": "web", "started_at": "2026-03-01T10:00:00Z",
        "turns": [
            {"speaker": "user", "text": "canary words", "at": "2026-03-01T10:00:00Z", "intent": "greet"},
            {"speaker": "bot", "text": "Hello!", "at": "2026-03-01T10:00:01Z", "rating": 1},
        ],
        "outcome": "resolved",
    }  # fmt: skip
    (tmp_path / "log.jsonl").write_text(json.dumps(talk) + "\n")
    assert bot("import", tmp_path / "log.jsonl", "-p", project, "--json").json["written"] == 1
    assert bot("import", tmp_path / "log.jsonl", "-p", project, "--json").json["known"] == 1
    assert "USER  canary words" in bot("replay", "c1", "-p", project).out
    lines = bot("export", "c1", "-p", project).out.splitlines()
    assert json.loads(lines[0])["event"]["kind"] == "started"
    assert bot("erase", "c1", "-p", project, "--yes").code == 0
    state = project / ".bot"
    assert not any(b"canary words" in path.read_bytes() for path in state.glob("log.db*"))


def test_logged_turns_are_reviewed_by_keys_and_become_labels(project: Path, tmp_path: Path) -> None:
    texts = ("when do you open", "I want a newsletter", "do you wrap gifts", "wrap it as a gift", "please engrave it")
    rows = [
        {"id": f"c{n}", "channel": "web", "outcome": "resolved",
         "turns": [{"speaker": "user", "text": text, "intent": "greet"}, {"speaker": "bot", "text": "Hello!"}]}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bot("import", tmp_path / "log.jsonl", "-p", project)
    done = bot(
        "review", project, "--by", "ann", "--json", typed="a\nu\nd\nr\nnewsletter\nn\ngift wrap\nr\ngift\nn\nengrave\n"
    )
    assert done.code == 0, done.err
    counts = json.loads(done.out.splitlines()[-1])
    assert (counts["judged"], counts["relabelled"], counts["not_usable"]) == (5, 4, 1)
    assert counts["too_few"] == ["engrave"]
    assert "gift_wrap" in (project / "data" / "nlu_discovered.yml").read_text()
    facts = [recorded.event for recorded in read_log(project / ".bot" / "log.db")]
    said = [fact for fact in facts if isinstance(fact, Corrected) and fact.usable]
    assert sorted(str(fact.intent) for fact in said) == [
        "None",
        "engrave",
        "gift_wrap",
        "gift_wrap",
        "greet",
        "newsletter",
    ]
    assert {fact.by for fact in said} == {"ann"}
    assert "5 turns judged" in bot("review", project, "--report").out


def test_doctor_finds_nothing_then_names_the_spoilt_file(project: Path) -> None:
    healthy = bot("doctor", project, "--json")
    assert healthy.code == 0, healthy.out
    spoilt = spoil(project)
    ran, chat = bot("doctor", project), bot("chat", project)
    assert ran.code == 1 and spoilt.name in ran.out
    assert chat.code != 0 and spoilt.name in chat.err


def spoil(project: Path) -> Path:
    """Flip one byte of the intent head in use."""
    store = project / ".bot" / "models"
    target = store / (store / "CURRENT").read_text().strip() / "intent" / "intent.safetensors"
    content = bytearray(target.read_bytes())
    content[-5] ^= 1
    target.write_bytes(content)
    return target


def test_a_bundle_comes_with_its_verdict_and_a_page_for_people(trained: Path) -> None:
    bundle = bot("models", "list", "-p", trained, "--json").json["bundles"][0]["id"]
    pages = bot("models", "show", bundle, "-p", trained).json["pages"]
    assert set(pages) == {"diff.html", "verdict.json"}
    assert "The candidate may be put to use" in Path(pages["diff.html"]).read_text()


def test_models_are_listed_promoted_and_rolled_back(project: Path, second: Path) -> None:
    shutil.copytree(second, project / ".bot" / "models" / second.name)
    listed = bot("models", "list", "-p", project, "--json").json["bundles"]
    assert [item["current"] for item in listed] == [False, True]
    assert bot("models", "promote", listed[0]["id"], "-p", project).code == 0
    assert listed[1]["id"] in bot("models", "rollback", "-p", project).out


class Server:
    """A served bot."""

    def __init__(self, project: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [*COMMAND, "serve", str(project), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def say(self, text: str) -> str:
        body = json.dumps({"sender": "s", "message": text}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/webhooks/rest/webhook", data=body)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return " ".join(message.get("text", "") for message in json.loads(answer.read()))

    def wait(self, what: Any, seconds: float = 90.0) -> Any:
        """Until `what` gives something true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found = what()
                if found:
                    return found
            except OSError:
                assert self.process.poll() is None
            time.sleep(0.1)
        raise AssertionError("it did not happen in time")


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    served = Server(project)
    try:
        served.wait(lambda: served.get("/readyz")["ready"])
        yield served
    finally:
        served.process.send_signal(signal.SIGTERM)
        served.process.communicate(timeout=15)
    assert served.process.returncode == 0


def in_use(server: Server) -> str:
    return str(server.get("/api/v1/admin/models")["bundle"])


def test_a_running_server_swaps_to_a_new_bundle_and_refuses_a_spoilt_one(
    server: Server, project: Path, second: Path
) -> None:
    assert "assistant" in server.say("hello")
    asked = server.wait(lambda: server.get("/api/v1/review/queue?by=ann")["items"])
    assert ("hello", "greet") in [(item["text"], item["accepts"]) for item in asked]
    first = in_use(server)
    shutil.copytree(second, project / ".bot" / "models" / second.name)
    bot("models", "promote", second.name, "-p", project)
    server.wait(lambda: in_use(server) == second.name)
    assert "assistant" in server.say("hello")
    bot("models", "promote", first, "-p", project)
    server.wait(lambda: in_use(server) == first)
    (project / ".bot" / "models" / second.name / "intent" / "intent.json").write_text("{}")
    (project / ".bot" / "models" / "CURRENT").write_text(second.name)
    time.sleep(2.5)
    assert in_use(server) == first
    assert "assistant" in server.say("hello")


def test_learn_ends_in_a_written_verdict_and_then_finds_nothing_new(project: Path) -> None:
    said = ["greetings to you", "howdy partner", "salutations", "top of the morning", "greetings friend", "oh howdy"]
    talks = [
        {"id": f"t{number}", "turns": [{"speaker": "user", "text": text, "correction": {"intent": "greet"}}]}
        for number, text in enumerate(said)
    ]
    (project / "logs").mkdir()
    (project / "logs" / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    first, second = (bot("learn", project, "--json") for _ in range(2))
    assert first.json["outcome"] in ("promoted", "kept back")
    assert first.code == (0 if first.json["outcome"] == "promoted" else 1)
    assert first.json["heard"]["imported"] == 6
    assert first.json["labels"] >= 6
    assert first.json["leakage"]["same_words"] == 0
    assert "greetings" in Path(first.json["page"]).read_text()
    assert (second.code, second.json["outcome"], second.json["since"]) == (0, "nothing new", first.json["at"])
