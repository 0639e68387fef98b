"""`bot why` on the demo shop, trained as `bot train` does: a talk, an imported answer, a bundle that is gone."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.app import Wiring, load_encoder, model_store, open_bot
from bot.cli.main import main
from bot.config import load_settings
from bot.project import load_project
from bot.store import SqlStore
from tests.fakes import tell
from training.gather import Sources
from training.importer import import_file
from training.standard import StandardWorkshop
from training.train import TrainRequest, train_project

pytestmark = pytest.mark.slow
SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop"
OLD = {
    "id": "old-1",
    "turns": [{"speaker": "user", "text": "hello", "intent": "greet"}, {"speaker": "bot", "text": "Hi!", "rating": -1}],
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with a bundle, a talk "c" of three turns and an imported conversation."""
    root = tmp_path_factory.mktemp("why") / "shop"
    shutil.copytree(SHOP, root, ignore=shutil.ignore_patterns(".bot"))
    settings = load_settings(root)
    encoder = load_encoder(settings, root)
    request = TrainRequest(model_store(settings, root).root, Sources(load_project(root)), skills=("intent", "entities"))
    train_project(request, StandardWorkshop(encoder))
    (root / "old.jsonl").write_text(json.dumps(OLD))
    asyncio.run(talk(root))
    return root


async def talk(root: Path) -> None:
    async with open_bot(root, Wiring(patient=True)) as running:
        for number, words in enumerate(("hello", "has my parcel been sent already?", "48213"), 1):
            await tell(running.manager, words, f"m{number}")
    async with SqlStore(load_settings(root).log_file(root)) as store:
        await import_file(root / "old.jsonl", store)


class Verb:
    """Runs `bot why` in this process, as the command line does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def run(self, root: Path, *arguments: object) -> tuple[int, str]:
        """The exit status, and all that was printed, on one line."""
        self.monkeypatch.setattr(sys, "argv", ["bot", "why", *map(str, arguments), "-p", str(root)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        return int(ended.value.code or 0), " ".join((said.out + said.err).split())

    def json(self, root: Path, *arguments: object) -> Any:
        """What it prints for programs."""
        code, said = self.run(root, *arguments, "--json")
        assert code == 0, said
        return json.loads(said)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    return Verb(monkeypatch, capsys)


def test_an_answer_is_traced_to_words_examples_and_what_would_flip_it(shop: Path, tmp_path: Path, verb: Verb) -> None:
    page = tmp_path / "why.html"
    found = verb.json(shop, "c", 2, "--html", page)
    assert found["decisions"][0]["argument"] == "order_status" and "data/flows.yml:" in found["decisions"][0]["place"]
    assert found["words"]["target"] == "intent order_status" and found["words"]["holds"]
    assert max(found["words"]["words"], key=lambda word: word["weight"])["text"] in ("parcel", "sent", "my")
    assert found["lessons"]["same"] and found["lessons"]["nearest"][0]["intent"] == "order_status"
    assert found["lessons"]["nearest"][0]["where"].startswith("data/nlu/")
    taught = next(flip for flip in found["flips"] if flip["kind"] == "example")
    assert not taught["same"] and taught["command"].startswith("write `- has my parcel")
    assert (found["today"], found["unknown"]) == ([], [])
    assert "has" in page.read_text("utf-8") and "order_status" in page.read_text("utf-8")


def test_a_slot_is_traced_to_its_extractor_and_an_action_to_its_key(shop: Path, verb: Verb) -> None:
    found = verb.json(shop, "c", 3)
    order = next(line for line in found["slots"] if line["name"] == "order_id")
    assert order["counted"] and "found by regex" in order["source"]
    assert [item["action"] for item in found["actions"]] == ["action_find_order"] and found["actions"][0]["key"]


def test_from_an_imported_answer_and_an_unknown_one_a_person_learns_what_is_missing(shop: Path, verb: Verb) -> None:
    found = verb.json(shop, "old-1", 1)
    assert found["headline"].startswith("Another system answered") and found["words"] is None
    assert found["after"]["judgements"][0]["score"] == -1
    assert "did you mean 'old-1'?" in verb.run(shop, "old-2", 1)[1]
    code, said = verb.run(shop, "c", 7)
    assert code == 2 and "has no turn 7: it has 3 turns (nearest: 1, 2, 3)" in said


def test_without_its_bundle_the_log_and_the_rules_still_tell(shop: Path, tmp_path: Path, verb: Verb) -> None:
    root = tmp_path / "shop"
    shutil.copytree(shop, root)
    shutil.rmtree(root / ".bot" / "models")
    code, said = verb.run(root, "c", 2)
    assert code == 0 and "cannot be asked" in said and "The flow order_status began" in said
    assert "begins flow" in said and "training examples" not in said
