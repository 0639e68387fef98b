"""A project, its log and files come together; what no longer fits the project is left out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bot.project import Project, load_project
from bot.store import SqlStore
from training.gather import Sources, gather
from training.importer import import_file
from training.split import SplitOptions

FILES = {
    "domain.yml": "intents: [greet, order]\nentities: [item]\nresponses:\n  utter_hi: [{text: Hi}]\n",
    "data/nlu.yml": """
nlu:
- intent: greet
  examples: |
    - hello there
    - good morning
    - hi
- intent: order
  examples: |
    - one [kettle](item) please
    - I want a [mug](item)
    - send me tea
""",
    "data/flows.yml": """
flows:
  hello:
    description: Greet.
    nlu_trigger: [{intent: greet}]
    steps: [{action: utter_hi}]
  order:
    description: Order.
    nlu_trigger: [{intent: order}]
    steps: [{action: utter_hi}]
""",
}
NOTHING_OUT = SplitOptions(share=0.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, content in FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return load_project(tmp_path / "project")


async def logged(tmp_path: Path, *corrections: str) -> Path:
    turns = [{"speaker": "user", "text": f"spoken {name}", "correction": {"intent": name}} for name in corrections]
    (tmp_path / "old.jsonl").write_text(json.dumps({"id": "c", "turns": turns}))
    async with SqlStore(tmp_path / "log.db") as store:
        await import_file(tmp_path / "old.jsonl", store)
    return tmp_path / "log.db"


def test_a_project_teaches_intents_and_slots(project: Project) -> None:
    found = gather(Sources(project=project), NOTHING_OUT)
    assert len(found.intents.train) == len(found.slots.train) == 6
    assert [item.rows for item in found.intent_data] == [6]
    assert found.intents.train[0].where.startswith("data/nlu.yml:")


def test_reviewed_turns_join_and_labels_that_are_gone_do_not(project: Project, tmp_path: Path) -> None:
    log = asyncio.run(logged(tmp_path, "greet", "oos", "gone"))
    found = gather(Sources(project=project, log=log), NOTHING_OUT)
    texts = [row.text for row in found.intents.train]
    assert "spoken greet" in texts
    assert "spoken oos" in texts
    assert "spoken gone" not in texts


def test_a_log_that_is_not_there_yet_teaches_nothing(project: Project, tmp_path: Path) -> None:
    found = gather(Sources(project=project, log=tmp_path / "none.db"), NOTHING_OUT)
    assert len(found.intents.train) == 6
    assert not (tmp_path / "none.db").exists()


def test_two_labels_for_one_text_are_named(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "more.jsonl"
    path.write_text('{"text": "Hello there", "intent": "order"}\n{"text": "hi", "intent": "greet"}\n')
    found = gather(Sources(project=project, intents=(path,)), NOTHING_OUT)
    assert "1 rows say what another row says" in found.notes[0]
    assert "'Hello there' is 'greet' in data/nlu.yml" in found.notes[1]
    assert "'order' in more.jsonl:1" in found.notes[1]


def test_slot_files_teach_their_intents_unless_intents_are_given(tmp_path: Path) -> None:
    slots, intents = tmp_path / "slots.jsonl", tmp_path / "intents.jsonl"
    slots.write_text('{"tokens": ["buy", "tea"], "tags": ["O", "B-item"], "intent": "buy"}\n')
    intents.write_text('{"text": "hello", "intent": "greet"}\n')
    alone = gather(Sources(slots=(slots,)), NOTHING_OUT)
    both = gather(Sources(slots=(slots,), intents=(intents,)), NOTHING_OUT)
    assert [row.intent for row in alone.intents.train] == ["buy"]
    assert [row.intent for row in both.intents.train] == ["greet"]


def test_signals_of_the_log_teach_with_less_weight_and_are_named(project: Project, tmp_path: Path) -> None:
    def accepted(name: str, text: str, intent: str, **more: object) -> str:
        asked = {"speaker": "user", "text": text, "intent": intent, **more}
        return json.dumps(
            {"id": name, "outcome": "resolved", "turns": [asked, {"speaker": "bot", "text": "Yes.", "rating": 1}]}
        )

    rows = [
        accepted("c", "one teapot for me", "order"),
        accepted("d", "two teapots", "order", correction={"intent": "greet"}),
        accepted("e", "hello there", "order"),
        accepted("f", "what was that", "gone"),
    ]
    (tmp_path / "old.jsonl").write_text("\n".join(rows))

    async def log() -> Path:
        async with SqlStore(tmp_path / "log.db") as store:
            await import_file(tmp_path / "old.jsonl", store)
        return tmp_path / "log.db"

    found = gather(Sources(project=project, log=asyncio.run(log())), NOTHING_OUT)
    weights = {row.text: (row.intent, row.weight) for row in found.intents.train if row.origin.source != "project"}
    assert weights == {"two teapots": ("greet", 1.0), "one teapot for me": ("order", 0.8)}
    assert {item.name: item.rows for item in found.intent_data} == {"project": 6, "reviewed turns": 1, "signals": 1}
