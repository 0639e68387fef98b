"""The examples that taught a bundle: found again by digest, the most alike first, each with its place."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bot.manifest import Manifest
from bot.project import load_project
from bot.store import SqlStore
from tests.training.toy import ToyWorkshop
from tests.training.why.bots import BagEncoder
from training.gather import Sources
from training.importer import import_file
from training.rows import Mark, Row
from training.snapshots import Lineage, SnapshotStore
from training.split import SplitOptions
from training.train import TrainRequest, train_project
from training.why.lineage import lesson_of
from training.why.nearest import MOST, Lesson, Taught, nearest

EXAMPLES = [
    *(
        ("order", f"I want the {colour} {thing} please")
        for colour in ("red", "blue")
        for thing in ("mug", "tray", "lid")
    ),
    *(("greet", f"good {time} to {who}") for time in ("morning", "day", "evening") for who in ("you", "all")),
]
DOMAIN = "intents: [greet, order]\nresponses:\n  utter_hi: [{text: Hi}]\n"


def written(root: Path, examples: list[tuple[str, str]]) -> Path:
    lines = ["nlu:"]
    for intent in ("order", "greet"):
        lines += [
            f"- intent: {intent}",
            "  examples: |",
            *(f"    - {text}" for name, text in examples if name == intent),
        ]
    (root / "data").mkdir(parents=True, exist_ok=True)
    (root / "domain.yml").write_text(DOMAIN)
    (root / "data" / "nlu.yml").write_text("\n".join(lines) + "\n")
    return root


async def logged(path: Path) -> Path:
    turns = [{"speaker": "user", "text": "hand me the mug", "correction": {"intent": "order"}}]
    (path.parent / "old.jsonl").write_text(json.dumps({"id": "c9", "turns": turns}))
    async with SqlStore(path) as store:
        await import_file(path.parent / "old.jsonl", store)
    return path


def trained(root: Path, log: Path) -> Manifest:
    sources = Sources(load_project(root), log)
    request = TrainRequest(root / ".bot" / "models", sources, skills=("intent",), split=SplitOptions(share=0.2))
    return train_project(request, ToyWorkshop()).bundle.manifest


def test_rows_of_project_and_log_are_found_again_and_known_to_be_the_same(tmp_path: Path) -> None:
    root, log = written(tmp_path / "p", EXAMPLES), asyncio.run(logged(tmp_path / "log.db"))
    manifest = trained(root, log)
    found = lesson_of(manifest, load_project(root), log, tmp_path)
    assert found.same and len(found.rows) + len(found.aside) == 13
    said = next(row for row in (*found.rows, *found.aside) if row.conversation)
    assert (said.text, said.conversation, said.turn) == ("hand me the mug", "c9", 1)
    assert all(row.where.startswith("data/nlu.yml:") for row in found.rows if not row.conversation)
    written(root, [*EXAMPLES, *(("greet", f"hello {name} dear") for name in ("my", "our", "old", "new", "good"))])
    assert not lesson_of(manifest, load_project(root), log, tmp_path).same


def test_rows_of_a_snapshot_come_with_their_rules(tmp_path: Path) -> None:
    root, log = written(tmp_path / "p", EXAMPLES), asyncio.run(logged(tmp_path / "log.db"))
    rows = [
        Row(id="a", text="hand me it", intent="order", conversation="c", turn=3, marks=(Mark(rule="click"),)),
        Row(id="b", text="good day", intent="greet", side="test"),
        Row(id="c", text="left out", intent="greet", side="out"),
    ]
    snapshot = SnapshotStore(tmp_path / "snapshots").create(rows, Lineage())
    manifest = trained(root, log)
    card = manifest.skills["intent"].model_copy(update={"data": (snapshot.described(),)})
    other = manifest.model_copy(update={"skills": {"intent": card}})
    found = lesson_of(other, load_project(root), log, tmp_path / "snapshots")
    (row,) = found.rows
    assert (row.text, row.conversation, row.turn, row.rules) == ("hand me it", "c", 3, ("click",))
    assert [row.text for row in found.aside] == ["good day"] and found.same
    assert lesson_of(other, load_project(root), log, tmp_path).rows == ()


LESSON = Lesson(
    (Taught("where is my parcel", "ship", "nlu.yml:1"), Taught("my money back", "pay", "nlu.yml:2")),
    aside=(Taught("Where is it?", "ship", "nlu.yml:3"),),
)


def test_the_most_alike_come_first() -> None:
    found = nearest("where is the parcel", ["ship"], LESSON, BagEncoder())
    assert [item.where for item in found.nearest] == ["nlu.yml:1", "nlu.yml:2"]
    assert found.nearest[0].similarity > 0.7 > found.nearest[1].similarity


def test_an_example_is_known_word_for_word_also_when_it_was_held_out() -> None:
    found = nearest("where is it", [], LESSON, BagEncoder())
    assert found.known is not None and found.known.where == "nlu.yml:3"
    assert "nlu.yml:3" not in [item.where for item in found.nearest]


@pytest.mark.parametrize("text", ["number 7 of many", "nothing in common"])
def test_of_many_examples_only_some_are_encoded_and_the_intents_considered_are_among_them(text: str) -> None:
    rows = [Taught(f"number {n} of many", "count") for n in range(3 * MOST)] + [Taught("quite another thing", "rare")]
    encoder = BagEncoder()
    found = nearest(text, ["rare"], Lesson(tuple(rows)), encoder)
    assert (found.compared, len(encoder.asked), found.trained_on) == (MOST, MOST + 1, 3 * MOST + 1)
    assert "quite another thing" in encoder.asked
    assert text != "number 7 of many" or found.nearest[0].text == text


def test_without_examples_nothing_is_near() -> None:
    assert nearest("hello", [], Lesson(()), BagEncoder()).nearest == ()
