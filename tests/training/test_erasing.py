"""Forgetting a person: afterwards no file of the project holds what only they said."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bot.config import PrivacySettings
from bot.core import events as ev
from bot.core.errors import InputError, IntegrityError, NotFound
from bot.project import load_project
from bot.reminders import forget
from bot.store import SqlStore
from tests.training.test_gather import FILES
from tests.training.toy import ToyWorkshop
from training import elsewhere
from training.consent import note_consent
from training.erasing import Erased, Place, erase, outdated
from training.gather import Sources, gather, read_log
from training.importer import import_file
from training.loop import Learned, LearnRequest, learn
from training.people import beside, everything, find_person
from training.privacy import Masker
from training.receipts import Receipts
from training.replay import Replay
from training.seen import Seen
from training.sides import SplitOptions
from training.snapshots import SnapshotStore
from training.sweep import Wanted, sweep

CANARY = "zebraquartz <Ω & co>"
MAIL = "kim.canary@example.org"
SAID = f"one {CANARY} kettle please, to {MAIL}, order 48213"
STATE = ".bot"


def talk(name: str, text: str, intent: str) -> str:
    turns = [
        {"speaker": "user", "text": text, "correction": {"intent": intent}},
        {"speaker": "bot", "text": f"So: {text}", "rating": -1},
    ]
    return json.dumps({"id": name, "channel": "web", "turns": turns, "outcome": "resolved"}) + "\n"


OTHERS = talk("theirs", "good evening to all of you", "greet") + talk("theirs-2", "send a mug, number 77001", "order")


def learned(place: Place) -> Learned:
    assert place.project is not None
    request = LearnRequest(place.project, place.state, place.log, place.models, split=SplitOptions(share=0.0))
    return learn(request, ToyWorkshop())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a log, an import beside it, snapshots, bundles and all kinds of files made from them."""
    root = tmp_path_factory.mktemp("erasing") / "shop"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    state, imported = root / STATE, root / "old.jsonl"
    imported.write_text(talk("mine", SAID, "order") + OTHERS)

    async def fill() -> None:
        async with SqlStore(state / "log.db") as store:
            await import_file(imported, store)
            blob = await store.put_blob(f"sound of {CANARY}".encode())
            last = (await store.read("mine"))[-1]
            message = {"id": "m9", "parts": [{"kind": "audio", "blob": blob}]}
            sound = ev.Received.model_validate({"message": message, "key": "k9", "channel": "web"})
            fact = ev.Recorded(conversation="mine", seq=last.seq + 1, turn=2, at=last.at + 1, event=sound)
            await store.append("mine", last.seq, [fact])

    asyncio.run(fill())
    learned(placed(root))
    derived(root, state)
    return root


def placed(root: Path) -> Place:
    project, state = load_project(root), root / STATE
    return Place(root, state, state / "log.db", state / "models", project.settings, project)


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    return placed(Path(shutil.copytree(made, tmp_path / "shop")))


def derived(root: Path, state: Path) -> None:
    rows = [json.dumps({"data": {"sender_id": name}, "text": "odd"}) for name in ("mine", "theirs")]
    for name, content in {
        "reports/intent-1.html": f"<td>{html.escape(SAID)}</td>",
        "rejects/rasa-1.jsonl": json.dumps({"id": "1", "sender_id": "mine"}) + "\n" + "\n".join(rows) + "\n",
        "learn/notes.json": json.dumps({"worst": SAID}),
    }.items():
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(content, encoding="utf-8")
    (root / "results").mkdir()
    (root / "results" / "errors.yml").write_text(f"- {SAID}\n", encoding="utf-8")
    lines = f'conversation,speaker,text\nmine,user,"{SAID}"\ntheirs,user,good evening\n'
    (root / "old.csv").write_text(lines, encoding="utf-8")
    entity = {"type": "item", "value": CANARY, "text": CANARY, "start": 0, "end": 3}
    reminder = {"name": "n", "intent": "order", "due": 9e9, "entities": [entity]}
    item = {"conversation": "mine", "position": 3, "reminder": reminder}
    (state / "reminders.json").write_text(json.dumps({"position": 3, "due": {"mine": {"n": item}}}), encoding="utf-8")


def holding(root: Path, *words: str) -> list[str]:
    """The files whose raw bytes hold any of the words, in any form that we write.

    Bundles are left out: those of the toy workshop are made of words. `tests/test_forgetting.py` has real ones.
    """
    forms = {form.encode() for word in words for form in (word, html.escape(word), json.dumps(word)[1:-1])}
    files = [path for path in root.rglob("*") if path.is_file() and "models" not in path.parts]
    return [path.relative_to(root).as_posix() for path in files if any(form in path.read_bytes() for form in forms)]


def gone(place: Place, who: str = "mine") -> Erased:
    person = find_person(read_log(place.log), who)
    return erase(place, person, partial(forget, place.state / "reminders.json"), at=1e9)


def test_afterwards_the_canary_is_in_no_file_and_the_next_training_does_not_see_it(place: Place) -> None:
    before = holding(place.root, "zebraquartz", MAIL)
    assert len(before) >= 8, before
    gone(place)
    assert holding(place.root, "zebraquartz", "Ω & co", MAIL) == []
    assert "good evening" in (place.root / "old.jsonl").read_text() and "theirs" in (place.root / "old.csv").read_text()
    assert gather(Sources(place.project, place.log), SplitOptions()).seen == {"theirs", "theirs-2"}
    learned(place)
    assert holding(place.root, "zebraquartz") == []
    store = SnapshotStore(place.state / "snapshots")
    kept = {row.conversation for name in store.ids() for row in store.open(name).rows}
    assert "theirs" in kept and "mine" not in kept


def test_the_receipt_names_snapshots_and_bundles_but_not_the_person(place: Place) -> None:
    bundle = Seen(place.models).by(["mine"])[0]
    (old,) = SnapshotStore(place.state / "snapshots").ids()
    done = gone(place)
    (path,) = (place.state / "receipts").iterdir()
    receipt = Receipts(place.state).check(path)
    assert done.path == path and done.stuck == () and done.receipt == receipt
    assert receipt.bundles == (bundle,) and receipt.bundle_in_use == bundle and receipt.retrain
    assert [pair[0] for pair in receipt.snapshots] == [old] and receipt.rows == 2 and receipt.reminders == 1
    assert receipt.person == Receipts(place.state).pseudonym("mine") and "mine" not in path.read_text()
    assert "results/errors.yml" in receipt.removed and {"old.jsonl", "old.csv"} <= set(receipt.changed)


def test_a_changed_receipt_is_refused(place: Place) -> None:
    gone(place)
    (path,) = (place.state / "receipts").iterdir()
    path.write_text(path.read_text().replace('"rows": 2', '"rows": 1'))
    with pytest.raises(IntegrityError, match="signature"):
        Receipts(place.state).check(path)
    with pytest.raises(NotFound):
        Receipts(place.state).check(path.with_name("none.json"))
    assert (place.state / "keys" / "receipts.key").stat().st_mode & 0o777 == 0o600


def test_an_authors_file_is_never_changed_but_named(place: Place) -> None:
    notes = place.root / "data" / "notes.md"
    notes.write_text(f"A customer wrote: {SAID}")
    gone(place)
    (path,) = (place.state / "receipts").iterdir()
    assert Receipts(place.state).check(path).remaining == ("data/notes.md",)
    assert CANARY in notes.read_text()


def test_an_erasure_can_be_repeated_and_strangers_are_named(place: Place) -> None:
    gone(place)
    gone(place)
    assert len(list((place.state / "receipts").iterdir())) == 2
    with pytest.raises(NotFound, match="nobody"):
        find_person(read_log(place.log), "nobody")


def test_a_user_is_all_their_conversations(place: Place) -> None:
    def begun(name: str) -> ev.Recorded:
        return ev.Recorded(conversation=name, seq=1, turn=0, at=1.0, event=ev.Started(channel="x", sender="kim"))

    person = find_person([begun("a"), begun("b"), *read_log(place.log)], "kim")
    assert person.conversations == ("a", "b")


def test_old_conversations_expire_when_the_project_says_so(place: Place) -> None:
    log = read_log(place.log)
    with pytest.raises(InputError, match="retention_days"):
        outdated(log, place.settings, 1e9)
    settings = place.settings.model_copy(update={"privacy": PrivacySettings(retention_days=1)})
    assert outdated(log, settings, 1000.0).conversations == ()
    assert set(outdated(log, settings, 1e9).conversations) == {"mine", "theirs", "theirs-2"}


def test_what_is_kept_of_expired_conversations_goes_with_its_person(place: Place) -> None:
    settings = place.settings.model_copy(update={"privacy": PrivacySettings(retention_days=1)})
    place = replace(place, settings=settings)
    reminders = partial(forget, place.state / "reminders.json")
    done = erase(place, outdated(read_log(place.log), settings, 1e9), reminders, at=1e9)
    assert done.kept == 3 and holding(place.root, "zebraquartz") == [f"{STATE}/replay/rows.jsonl"]
    assert gather(Sources(place.project, place.log, replay=Replay(place.state, 9)), SplitOptions()).seen >= {"mine"}
    person = find_person(read_log(place.log), "mine", Replay(place.state, 0))
    assert erase(place, person, reminders, at=2e9).receipt.rows == 1
    assert holding(place.root, "zebraquartz", "Ω & co", MAIL) == []


def test_pages_that_were_written_elsewhere_are_removed(place: Place, tmp_path: Path) -> None:
    pages = [tmp_path / f"{name}.html" for name in ("mine", "quotes", "other")]
    for page, text, talk in zip(
        pages, ("<i>zebra</i>quartz", html.escape(SAID), "hm"), ("mine", "x", "x"), strict=True
    ):
        elsewhere.write(place.state, page, text, talk)
    removed = gone(place).receipt.removed
    assert [page.exists() for page in pages] == [False, False, True] and str(pages[0]) in removed
    assert json.loads((place.state / elsewhere.FILE).read_text()) == {"path": str(pages[2]), "conversation": "x"}


async def test_everything_about_a_person_is_exported(place: Place) -> None:
    async with SqlStore(place.log) as store:
        person = find_person(await store.tail(0, 1000), "mine")
        told = json.dumps(await everything(person, store, beside(person, place.state, place.models)))
    assert "zebraquartz" in told and "c291bmQgb2Y" in told and "snapshot_rows" in told and "good evening" not in told
    assert json.loads(told)["bundles"] == list(Seen(place.models).by(["mine"]))


async def test_a_refusal_is_written_down_in_every_conversation(place: Place) -> None:
    async with SqlStore(place.log) as store:
        assert await note_consent(store, ["mine", "none"], False, 2e9) == 1
    found = await asyncio.to_thread(gather, Sources(place.project, place.log), SplitOptions())
    assert found.seen == {"theirs", "theirs-2"}


def test_what_others_say_too_is_nobodys(tmp_path: Path, place: Place) -> None:
    page = tmp_path / "other" / "page.txt"
    page.parent.mkdir()
    page.write_text("where is my order 48213")
    said = ["where is my order 48213"]
    for others, found in (([], [page]), (["hm, where is my order 48213 then"], [])):
        wanted = Wanted.of(["c"], said, others, Masker())
        assert sweep(page.parent, page.parent / STATE, [], [], wanted).remaining == found


def test_sealed_folders_and_packed_files_are_named(tmp_path: Path) -> None:
    sealed, packed = tmp_path / STATE / "models" / "x.json", tmp_path / "old.jsonl.gz"
    sealed.parent.mkdir(parents=True)
    sealed.write_text(SAID)
    packed.write_bytes(gzip.compress(SAID.encode()))
    wanted = Wanted.of(["mine"], [SAID], [], Masker())
    found = sweep(tmp_path, tmp_path / STATE, [], [sealed.parent], wanted)
    assert (found.changed, found.removed, set(found.remaining)) == ([], [], {sealed, packed})
