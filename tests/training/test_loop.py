"""A round of learning always ends in a written verdict: promoted, kept back, tried, nothing new, or what broke."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.bundles import BundleStore
from bot.config import LearningSettings, PrivacySettings
from bot.core.errors import BotError, InputError
from bot.project import load_project
from tests.skills.test_generator_files import base as base_files
from tests.training.toy import ToyWorkshop
from training import lesson
from training.gate.verdict import Past, PastTurn
from training.learn_request import Review
from training.lesson import Ask, Stage
from training.loop import Learned, LearnRequest, learn, nightly, seconds_until
from training.replay import Replay
from training.rows import Row
from training.snapshots import SnapshotStore, names_of
from training.speaking import Speaking
from training.wording import Replies

pytestmark = pytest.mark.slow

DAY = 86_400
SHOP = {
    "domain.yml": "intents: [buy, clean]\nresponses:\n  utter_hi: [{text: Hi}]\n",
    "data/flows.yml": """
flows:
  buying: {description: Buy., nlu_trigger: [{intent: buy}], steps: [{action: utter_hi}]}
  cleaning: {description: Clean., nlu_trigger: [{intent: clean}], steps: [{action: utter_hi}]}
""",
}
THINGS = "kettle mug teapot tray filter spoon lid jar bowl plate cup scale whisk basket cosy tin".split()  # noqa: SIM905


def example(intent: str, thing: str) -> str:
    return f"{intent} a {thing} please"


@pytest.fixture
def shop(tmp_path: Path) -> LearnRequest:
    nlu = [
        {"intent": intent, "examples": "".join(f"- {example(intent, thing)}\n" for thing in THINGS)}
        for intent in ("buy", "clean")
    ]
    for name, text in {**SHOP, "data/nlu.yml": json.dumps({"nlu": nlu})}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    state = tmp_path / ".bot"
    return LearnRequest(load_project(tmp_path), state, state / "log.db", state / "models")


def logs(shop: LearnRequest, verb: str = "scrub", intent: str = "clean", count: int = 60, name: str = "log") -> Path:
    """Customers have a word of their own for an intent; people corrected what the old bot took it for."""
    talks: list[dict[str, Any]] = []
    for number in range(count):
        at = f"2026-{3 + number // 28:02d}-{1 + number % 28:02d}T10:00:00Z"
        said = f"{verb} {'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10]} {THINGS[number % len(THINGS)]}"
        turn = {"speaker": "user", "text": said, "at": at, "intent": "buy", "correction": {"intent": intent}}
        talks.append({"id": f"{name}-{number}", "turns": [turn, {"speaker": "bot", "text": "Hm."}]})
    path = shop.state.parent / f"{name}.jsonl"
    path.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    return path


def clock() -> Callable[[], float]:
    ticks = iter(range(1_800_000_000, 1_900_000_000, 60))
    return lambda: next(ticks)


NOW = clock()


def run(request: LearnRequest, workshop: ToyWorkshop | None = None) -> Learned:
    return learn(request, workshop or ToyWorkshop(), clock=NOW)


def test_corrections_of_a_log_become_a_better_bundle(shop: LearnRequest) -> None:
    run(replace(shop, logs=(logs(shop, "fetch", "buy", 3, "first"),)))
    first = BundleStore(shop.models).current()
    found = run(replace(shop, logs=(logs(shop),)))
    assert (found.lesson.outcome, found.lesson.replaced) == ("promoted", first)
    assert BundleStore(shop.models).current() == found.lesson.bundle
    figures = {figure.name: figure for figure in found.lesson.figures}
    customers = figures["Those of them that customers sent"]
    assert customers.before is not None
    assert customers.before < 0.1 < 0.9 < customers.after
    assert names_of(BundleStore(shop.models), found.lesson.bundle) == (found.lesson.snapshot,)
    assert {path.name for path in found.page.parent.iterdir()} == {"verdict.json", "verdict.md", "page.html"}
    assert "scrub" in found.page.read_text()
    assert (found.page.parent / found.lesson.gate_page).is_file()


def test_the_newest_weeks_and_no_like_of_them_are_trained_on(shop: LearnRequest) -> None:
    found = run(replace(shop, logs=(logs(shop, count=80),))).lesson
    rows = SnapshotStore(shop.state / "snapshots").open(found.snapshot).rows
    assert found.leakage.clean
    assert found.leakage.since == "2026-05-10"
    assert {row.side for row in rows if row.at and row.where >= ""} >= {"train", "time"}
    assert not [row for row in rows if row.side == "train" and row.month == "2026-05" and row.at >= 1778407200]


def test_replies_are_rows_of_the_snapshot_and_new_ones_are_news(shop: LearnRequest) -> None:
    base = base_files(shop.state.parent / "base")
    said = [
        Row(
            id=f"reply {n}",
            text="how",
            conversation=f"log-{n}",
            talk=(("user", "how"),),
            passages=("So.",),
            reply="So.",
        )
        for n in range(2)
    ]

    def round_with(count: int) -> Learned:
        found = Replies(tuple(said[:count]), {"kept": count})
        speaking = Speaking(base, found, shop.state / "generator-run")
        return run(replace(shop, logs=(logs(shop),), speaking=lambda: speaking))

    first = round_with(1)
    rows = SnapshotStore(shop.state / "snapshots").open(first.lesson.snapshot).rows
    assert [row.reply for row in rows if row.passages] == ["So."]
    assert not any(kept.passages for kept in Replay(shop.state, 9).rows())
    assert [stage.said for stage in first.lesson.stages if stage.name == "replies"] == ["replies of people: 1 kept"]
    assert round_with(1).lesson.outcome == "nothing new"
    assert round_with(2).lesson.outcome != "nothing new"


def test_a_second_round_finds_nothing_new(shop: LearnRequest) -> None:
    first = run(replace(shop, logs=(logs(shop),)))
    again = run(replace(shop, logs=(logs(shop),)))
    assert (again.lesson.outcome, again.lesson.since) == ("nothing new", first.lesson.at)
    assert len(BundleStore(shop.models).list()) == 1
    more = run(replace(shop, logs=(logs(shop, count=8, name="more"),)))
    assert more.lesson.outcome in ("promoted", "kept back")


@pytest.mark.slow
def test_a_bundle_that_was_taken_back_is_not_made_again(shop: LearnRequest) -> None:
    run(replace(shop, logs=(logs(shop, "fetch", "buy", 3, "first"),)))
    run(replace(shop, logs=(logs(shop),)))
    BundleStore(shop.models).rollback("customers complain")
    found = run(shop).lesson
    assert found.outcome == "nothing new"
    assert "taken back since" in found.reasons[1]


@pytest.mark.slow
def test_a_dry_run_changes_nothing_and_is_not_remembered(shop: LearnRequest) -> None:
    asked = replace(shop, logs=(logs(shop),), dry_run=True)
    assert run(asked).lesson.outcome == "tried"
    assert BundleStore(shop.models).current() is None
    assert run(replace(asked, dry_run=False)).lesson.outcome == "promoted"


def test_a_trial_leaves_the_bundle_in_use_and_is_remembered(shop: LearnRequest) -> None:
    run(replace(shop, logs=(logs(shop, "fetch", "buy", 3, "first"),), trial=True))
    first = BundleStore(shop.models).current()
    found = run(replace(shop, logs=(logs(shop),), trial=True)).lesson
    assert (found.outcome, found.replaced) == ("on trial", first)
    assert BundleStore(shop.models).current() == first
    assert run(replace(shop, trial=True)).lesson.outcome == "nothing new"


def test_a_worse_candidate_is_kept_back_with_reasons(shop: LearnRequest) -> None:
    run(replace(shop, logs=(logs(shop),)))
    current = BundleStore(shop.models).current()
    found = run(replace(shop, logs=(logs(shop, count=40, name="more"),)), ToyWorkshop(ignore=["clean"]))
    assert found.lesson.outcome == "kept back"
    assert found.lesson.reasons
    assert BundleStore(shop.models).current() == current


def test_an_empty_log_is_no_success(shop: LearnRequest) -> None:
    found = run(shop)
    assert (found.lesson.outcome, found.result) == ("nothing to learn", None)
    assert "--logs" in found.lesson.reasons[0]
    assert found.page.is_file()


def test_what_breaks_is_written_down_and_raised(shop: LearnRequest) -> None:
    bad = shop.state.parent / "bad.jsonl"
    bad.write_text("{")
    with pytest.raises(InputError):
        run(replace(shop, logs=(bad,)))
    ((_, found),) = lesson.lessons(shop.state / "learn")
    assert (found.outcome, "bad.jsonl" in found.reasons[0]) == ("failed", True)


def test_a_lesson_forgets_a_conversation(shop: LearnRequest) -> None:
    found = run(replace(shop, logs=(logs(shop),)))
    quoted = next(quote for item in found.lesson.learned for quote in item.quotes)
    assert quoted.text in found.page.read_text()
    assert lesson.forget(shop.state / "learn", {quoted.conversation}) == (found.page,)
    files = found.page.parent.iterdir()
    assert not [path for path in files if quoted.text in path.read_text()]


def test_nights_go_on_after_a_bad_one() -> None:
    told, nights = list[object](), iter([InputError("no"), InputError("again")])

    def once() -> Learned:
        raise next(nights)

    rounds = nightly(once, lambda: None, told.append)
    next(rounds), next(rounds)
    assert [str(item) for item in told if isinstance(item, BotError)] == ["no", "again"]


def test_every_night_is_three_o_clock_and_numbers_are_hours() -> None:
    assert seconds_until("0.5", 0.0) == 1800
    assert 0 < seconds_until("night", 1.8e9) <= DAY
    for wrong in ("never", "0", "-3"):
        with pytest.raises(ValueError):
            seconds_until(wrong, 0.0)


@pytest.mark.parametrize("kept", [50, 0])
def test_what_expired_conversations_taught_is_not_unlearned_unless_nothing_may_be_kept(
    shop: LearnRequest, kept: int
) -> None:
    shop = configured(shop, learning=LearningSettings(replay_per_intent=kept))
    run(replace(shop, logs=(logs(shop),)))
    fresh = logs(shop, "fetch", "buy", 20, "fresh")
    fresh.write_text(fresh.read_text().replace("2026-03", "2026-12"))
    limited = configured(shop, privacy=PrivacySettings(retention_days=90))
    found = run(replace(limited, logs=(fresh,)))
    snapshot = SnapshotStore(shop.state / "snapshots").open(found.lesson.snapshot)
    texts = [row.text for row in snapshot.rows if row.source == "replay"]
    assert bool(texts) == bool(kept) and all(text.startswith("scrub") for text in texts)
    assert (shop.state / "replay" / "rows.jsonl").exists() == bool(kept)


def configured(request: LearnRequest, **sections: object) -> LearnRequest:
    """The same project with other settings."""
    settings = request.project.settings.model_copy(update=sections)
    return replace(request, project=replace(request.project, settings=settings))


def test_a_round_names_what_to_look_at_and_what_it_would_have_done(shop: LearnRequest) -> None:
    ask = Ask(conversation="log-1", turn=1, text="scrub <ITEM>", reason="margin")
    turn = PastTurn(
        conversation="log-1", turn=1, text="scrub it", before=("begins buying",), after=("begins cleaning",)
    )
    past = Past(turns=60, conversations=60, changed=(turn,))
    review = Review(lambda: [ask], "bot review --budget 1")
    found = run(replace(shop, logs=(logs(shop),), past=lambda bundle: past, review=review))
    assert (found.lesson.asks, found.lesson.review) == ((ask,), "bot review --budget 1")
    assert found.result is not None and found.result.page is not None
    assert "begins cleaning" in found.result.page.read_text()
    assert "scrub &lt;ITEM&gt;" in found.page.read_text()


def test_what_was_forgotten_ahead_is_part_of_the_verdict(shop: LearnRequest) -> None:
    before = Stage(name="retention", said="3 conversations forgotten", seconds=0.1)
    assert run(replace(shop, before=(before,))).lesson.stages[0] == before


def test_people_who_are_forgotten_are_not_asked_about(shop: LearnRequest) -> None:
    ask = Ask(conversation="log-1", turn=1, text="scrub it", reason="margin")
    found = run(replace(shop, logs=(logs(shop),), review=Review(lambda: [ask], "bot review")))
    assert lesson.forget(found.page.parent.parent, {"log-1"})
    assert "scrub it" not in found.page.read_text()


def test_the_page_draws_how_the_bot_grew(shop: LearnRequest) -> None:
    run(replace(shop, logs=(logs(shop, "fetch", "buy", 3, "first"),)))
    found = run(replace(shop, logs=(logs(shop),)))
    assert "Round by round" in found.page.read_text()
