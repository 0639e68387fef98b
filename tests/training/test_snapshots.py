"""A snapshot never changes, says where each row is from, and forgets people without a trace of their words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.bundles import BundleStore
from bot.core.errors import IntegrityError, NotFound
from bot.manifest import Draft, SkillCard
from training.rows import Mark, Row
from training.snapshots import Lineage, Snapshot, SnapshotStore, names_of

CANARY = "my secret canary sentence"


def row(name: str, conversation: str = "", text: str = "hello", intent: str = "greet") -> Row:
    marks = (Mark(rule="corrected_by_reviewer", events=(3, 9)),)
    return Row(id=name, text=text, intent=intent, conversation=conversation, at=1.7e9, marks=marks, human=True)


ROWS = [row("b", "c1", CANARY), row("a"), row("c", "c2", "bye", "goodbye")]


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


def bundle_of(models: BundleStore, snapshot: Snapshot) -> str:
    def fill(stage: Path) -> Draft:
        (stage / "head").write_text(snapshot.id)
        return Draft(kind="models", skills={"intent": SkillCard(base="b", method="m", data=(snapshot.described(),))})

    return models.create(fill).id


def test_rows_come_back_as_they_were_sorted(store: SnapshotStore) -> None:
    made = store.create(ROWS, Lineage(filter="all"))
    assert store.open(made.id) == made
    assert [item.id for item in made.rows] == ["a", "b", "c"]
    assert made.dataset.counts == {
        "goodbye | corrected_by_reviewer | 2023-11 | en": 1,
        "greet | corrected_by_reviewer | 2023-11 | en": 2,
    }


def test_the_same_rows_in_any_order_are_the_same_snapshot(store: SnapshotStore) -> None:
    assert store.create(ROWS, Lineage()).id == store.create(ROWS[::-1], Lineage()).id
    assert store.create(ROWS, Lineage()).id != store.create(ROWS, Lineage(filter="another")).id
    assert len(store.ids()) == 2


@pytest.mark.parametrize("name", ["rows.jsonl", "dataset.json"])
def test_a_snapshot_that_was_changed_by_hand_is_refused(store: SnapshotStore, name: str) -> None:
    made = store.create(ROWS, Lineage())
    path = made.path / name
    path.write_bytes(
        path.read_bytes().replace(b"en", b"de").replace(b'"rows": 3', b'"rows": 4').replace(b"bye", b"hi!")
    )
    with pytest.raises(IntegrityError):
        store.open(made.id)


def test_what_a_crash_left_is_no_snapshot(store: SnapshotStore) -> None:
    made = store.create(ROWS, Lineage())
    (store.folder / ".new-1").mkdir()
    (store.folder / ".new-1" / "dataset.json").write_text("{}")
    assert store.ids() == (made.id,)
    with pytest.raises(NotFound, match="there is none"):
        store.open("0" * 64)


def test_forgetting_a_conversation_leaves_no_byte_of_it(store: SnapshotStore, tmp_path: Path) -> None:
    models = BundleStore(tmp_path / "models")
    made = store.create(ROWS, Lineage())
    untouched = store.create([row("a")], Lineage())
    bundle = bundle_of(models, made)
    bundle_of(models, untouched)
    (store.folder / ".gone-x").mkdir()
    (store.folder / ".gone-x" / "rows.jsonl").write_text(CANARY)
    done = store.forget("c1", models)
    assert (done.rows, done.bundles) == (1, (bundle,))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    ((old, new),) = done.snapshots
    assert old == made.id
    assert store.open(new).dataset.parents == (made.id,)
    assert set(store.ids()) == {new, untouched.id}
    with pytest.raises(NotFound, match="replaced by"):
        store.open(old)
    assert store.rows_of(old) == store.open(new).rows
    assert store.rows_of("never") == ()


def test_bundles_are_found_through_earlier_erasures(store: SnapshotStore, tmp_path: Path) -> None:
    models = BundleStore(tmp_path / "models")
    bundle = bundle_of(models, store.create(ROWS, Lineage()))
    store.forget("c1", models)
    assert store.forget("c2", models).bundles == (bundle,)
    assert store.forget("c2", models).snapshots == ()
    assert names_of(models, bundle)[0] in store.replaced()


def test_the_description_is_readable(store: SnapshotStore) -> None:
    made = store.create(ROWS, Lineage(masker="1", licence="ours", position=12))
    plain = json.loads((made.path / "dataset.json").read_text())
    assert (plain["id"], plain["masker"], plain["sides"]) == (made.id, "1", {"train": 3})
