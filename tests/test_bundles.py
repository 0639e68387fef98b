"""Bundles: complete or not there, verified to the byte, swapped by one pointer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.bundles import BundleStore, Disk, PointerWatch
from bot.core.errors import Conflict, IntegrityError, NotFound
from bot.manifest import Draft, Metric, SkillCard


class PowerCut(BaseException):
    """The machine died."""


class DyingDisk(Disk):
    """A disk whose machine dies before step `last`; nothing happens after that, clean-up included."""

    def __init__(self, last: int) -> None:
        self.steps, self.last = 0, last

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self.last:
            raise PowerCut

    def sync(self, path: Path) -> None:
        self._step()
        super().sync(path)

    def write(self, path: Path, content: bytes) -> None:
        self._step()
        if self.steps == self.last:
            content = content[: len(content) // 2]
        super().write(path, content)

    def append(self, path: Path, content: bytes) -> None:
        self._step()
        if self.steps == self.last:
            content = content[: len(content) // 2]
        super().append(path, content)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        if self.steps <= self.last:
            super().remove(path)


class Clock:
    """A second passes at every look."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 1
        return self.now


def filler(text: str = "weights", **fields: object) -> Callable[[Path], Draft]:
    def fill(stage: Path) -> Draft:
        (stage / "intent").mkdir()
        (stage / "intent" / "head.safetensors").write_bytes(text.encode())
        (stage / "verdict.json").write_text("{}")
        return Draft(kind="models", seeds={"all": 1}, **fields)  # type: ignore[arg-type]

    return fill


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "models", clock=Clock())


def test_a_bundle_comes_back_as_it_was_stated(store: BundleStore) -> None:
    metric = Metric(value=0.9, low=0.8, high=0.95, n=40)
    card = SkillCard(base="minilm", method="frozen", metrics={"accuracy": metric}, hyper_parameters={"c": 1.5})
    made = store.create(filler(skills={"intent": card}, thresholds={"intent": 0.4}))
    opened = store.open(made.id)
    assert opened.manifest == made.manifest
    assert opened.manifest.skills["intent"].metrics["accuracy"] == metric
    assert [file.path for file in opened.manifest.files] == ["intent/head.safetensors", "verdict.json"]


def test_a_new_bundle_is_not_current_until_it_is_promoted(store: BundleStore) -> None:
    made = store.create(filler())
    assert store.current() is None
    assert store.open_current() is None
    store.promote(made.id, "first")
    assert store.current() == made.id


def test_the_same_content_has_the_same_digest_at_another_time(store: BundleStore) -> None:
    first, second = store.create(filler()), store.create(filler())
    assert first.id != second.id
    assert first.manifest.content == second.manifest.content


def test_making_the_same_bundle_within_a_second_gives_the_first(tmp_path: Path) -> None:
    store = BundleStore(tmp_path, clock=lambda: 1_790_000_000.0)
    assert store.create(filler()).id == store.create(filler()).id
    assert len(store.list()) == 1


def test_nothing_is_left_when_filling_fails(store: BundleStore) -> None:
    def fill(stage: Path) -> Draft:
        (stage / "half").write_text("x")
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        store.create(fill)
    assert list(store.root.iterdir()) == []


def test_a_changed_byte_of_any_file_is_seen(store: BundleStore) -> None:
    made = store.create(filler())
    for path in (path for path in made.path.rglob("*") if path.is_file()):
        original = path.read_bytes()
        for position in range(0, len(original), 3):
            path.write_bytes(original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :])
            with pytest.raises(IntegrityError) as caught:
                store.open(made.id)
            assert caught.value.path == str(path)
        path.write_bytes(original)
    assert store.open(made.id)


def test_missing_unknown_and_linked_files_are_refused(store: BundleStore, tmp_path: Path) -> None:
    made = store.create(filler())
    head, extra = made.path / "intent" / "head.safetensors", made.path / "extra.json"
    extra.write_text("{}")
    with pytest.raises(IntegrityError, match=r"extra\.json: is not in the manifest"):
        store.open(made.id)
    extra.unlink()
    head.rename(tmp_path / "head")
    with pytest.raises(IntegrityError, match=r"head\.safetensors: is missing"):
        store.open(made.id)
    head.symlink_to(tmp_path / "head")
    with pytest.raises(IntegrityError, match="not a plain file"):
        store.open(made.id)


def test_a_missing_manifest_is_refused(store: BundleStore) -> None:
    made = store.create(filler())
    (made.path / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match="not complete"):
        store.open(made.id)


def test_a_bundle_under_another_name_is_refused(store: BundleStore) -> None:
    made = store.create(filler())
    other = store.root / f"20200101-000000-{made.id[-12:]}"
    made.path.rename(other)
    with pytest.raises(IntegrityError, match="not what was written"):
        store.open(other.name)


def test_a_link_in_the_making_is_refused(store: BundleStore) -> None:
    def fill(stage: Path) -> Draft:
        (stage / "head").symlink_to("/etc/hostname")
        return Draft(kind="models")

    with pytest.raises(IntegrityError, match="not a plain file"):
        store.create(fill)


@pytest.mark.parametrize("name", ["nope", "../models", "20260101-000000-000000000000", ""])
def test_unknown_ids_are_not_found(store: BundleStore, name: str) -> None:
    with pytest.raises(NotFound, match="no bundle"):
        store.open(name)


def test_a_damaged_bundle_is_not_promoted(store: BundleStore) -> None:
    good, bad = store.create(filler("good")), store.create(filler("bad"))
    store.promote(good.id, "first")
    (bad.path / "verdict.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"verdict\.json"):
        store.promote(bad.id, "second")
    assert store.current() == good.id


def test_rollback_walks_back_through_the_promotions(store: BundleStore) -> None:
    ids = [store.create(filler(str(number))).id for number in range(3)]
    for bundle in ids:
        store.promote(bundle, "better", by="ann", verdict="better")
    assert store.rollback("complaints").id == ids[1]
    assert store.rollback("still bad").id == ids[0]
    with pytest.raises(NotFound, match="before this one"):
        store.rollback("too far")
    assert [line.action for line in store.history()] == ["promote"] * 3 + ["rollback"] * 2
    assert store.history()[0].by == "ann"


def test_rollback_returns_after_an_old_bundle_was_promoted_again(store: BundleStore) -> None:
    first, second = (store.create(filler(str(number))).id for number in range(2))
    for bundle in (first, second, first):
        store.promote(bundle, "by hand")
    assert store.rollback("no").id == second


def test_promoting_the_current_bundle_changes_nothing(store: BundleStore) -> None:
    made = store.create(filler())
    store.promote(made.id, "first")
    store.promote(made.id, "again")
    assert len(store.history()) == 1


def test_a_comparison_with_another_bundle_does_not_count(store: BundleStore) -> None:
    first, second = store.create(filler("1")), store.create(filler("2"))
    store.promote(first.id, "first", replacing=None)
    with pytest.raises(Conflict, match="compare again"):
        store.promote(second.id, "stale", replacing=None)
    assert store.promote(second.id, "better", replacing=first.id).id == second.id


def test_a_listing_shows_broken_bundles_too(store: BundleStore) -> None:
    first, second = store.create(filler("1")), store.create(filler("2"))
    store.promote(first.id, "first")
    (second.path / "manifest.json").write_text("{}")
    newest, oldest = store.list()
    assert (newest.id, newest.manifest, newest.current) == (second.id, None, False)
    assert "manifest.json" in newest.problem
    assert (oldest.id, oldest.current, oldest.problem) == (first.id, True, "")


def test_a_nonsense_pointer_is_named(store: BundleStore) -> None:
    store.root.mkdir()
    for content in (b"../../etc", b"\xff\xfe", b""):
        (store.root / "CURRENT").write_bytes(content)
        with pytest.raises(IntegrityError, match="CURRENT"):
            store.current()


def test_promoting_mends_a_nonsense_pointer(store: BundleStore) -> None:
    made = store.create(filler())
    (store.root / "CURRENT").write_text("nonsense")
    assert not store.list()[0].current
    store.promote(made.id, "mend")
    assert store.current() == made.id


def test_the_watch_reports_a_change_once(store: BundleStore) -> None:
    watch = PointerWatch(store, None)
    assert watch.changed() is None
    made = store.create(filler())
    store.promote(made.id, "first")
    assert watch.changed() == made.id
    assert watch.changed() is None
    (store.root / "CURRENT").write_text("broken")
    with pytest.raises(IntegrityError):
        watch.changed()
    assert watch.changed() is None


def test_the_watch_is_quiet_about_the_bundle_in_use(store: BundleStore) -> None:
    made = store.create(filler())
    store.promote(made.id, "first")
    assert PointerWatch(store, made.id).changed() is None


def test_a_second_writer_gets_a_clear_error(store: BundleStore) -> None:
    made = store.create(filler())
    with (store.root / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another process is changing"):
            BundleStore(store.root, patience=0).promote(made.id, "first")


def test_stages_of_dead_makers_are_removed_and_living_ones_kept(store: BundleStore) -> None:
    dead, young, living = (store.root / f".new-{name}" for name in ("dead", "young", "living"))
    for stage in (dead, young, living):
        stage.mkdir(parents=True)
    for stage in (dead, living):
        os.utime(stage, (0, 0))
    handle = os.open(living, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    store.create(filler())
    os.close(handle)
    assert [stage.exists() for stage in (dead, young, living)] == [False, True, True]


def test_dying_at_any_step_leaves_a_whole_store(tmp_path: Path) -> None:
    old = _steps(tmp_path / "count", DyingDisk(10_000))
    assert old.steps > 10
    for last in range(old.steps):
        root = tmp_path / str(last)
        _steps(root, DyingDisk(last))
        store = BundleStore(root, clock=Clock(1_800_000_000.0))
        listed = store.list()
        assert all(store.open(line.id) for line in listed)
        current = store.open_current()
        assert current is not None
        again = store.create(filler("third"))
        store.promote(again.id, "after the crash")
        assert store.rollback("back").id == current.id


def _steps(root: Path, disk: DyingDisk) -> DyingDisk:
    """Promote a first bundle safely, then make and promote a second one on a disk that dies."""
    safe = BundleStore(root, clock=Clock())
    safe.promote(safe.create(filler("first")).id, "first")
    store = BundleStore(root, clock=Clock(1_790_001_000.0), disk=disk)
    with contextlib.suppress(PowerCut):
        store.promote(store.create(filler("second")).id, "second")
    return disk


CHILD = """
    import sys, pathlib
    from bot.bundles import BundleStore
    from bot.manifest import Draft
    store, number = BundleStore(pathlib.Path(sys.argv[1])), 0
    def fill(stage):
        for part in range(4):
            (stage / f"part{part}").write_bytes(f"{sys.argv[2]} {number} {part}".encode() * 500)
        return Draft(kind="models", details={"number": number})
    print("ready", flush=True)
    while True:
        number += 1
        store.promote(store.create(fill).id, "next")
"""


def _child(root: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(root), name]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.mark.slow
def test_killed_makers_never_leave_a_partial_bundle(tmp_path: Path) -> None:
    store = BundleStore(tmp_path)
    for kill in range(6):
        children = [_child(tmp_path, f"{kill}{name}") for name in "ab"]
        time.sleep(0.05 + 0.017 * kill)
        for child in children:
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        assert all(store.open(line.id) for line in store.list())
        assert store.open_current() is not None or kill == 0
    assert len(store.list()) > 6
    assert store.history()
