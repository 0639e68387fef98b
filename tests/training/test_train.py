"""Training ends in a bundle that was measured as it ships, or in a clear no."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from bot.bundles import BundleStore
from bot.core.errors import InputError, IntegrityError
from tests.training.toy import ToyWorkshop
from training.gather import Sources
from training.train import TrainRequest, TrainResult, train_project

pytestmark = pytest.mark.slow

COLOURS = ("red", "blue", "green", "grey", "pink", "white", "black", "brown", "gold", "teal")
THINGS = ("kettle", "mug", "teapot", "tray", "filter", "spoon", "lid", "jar")


def rows(intents: Iterable[str], things: Iterable[str] = THINGS) -> list[dict[str, object]]:
    return [
        {"text": f"{intent} the {colour} {thing} please", "intent": intent}
        for intent in intents
        for colour in COLOURS
        for thing in things
    ]


def write(path: Path, lines: Iterable[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Bench:
    """A folder of models and a way to train into it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, BundleStore(folder / "models")

    def train(
        self, lines: list[dict[str, object]], workshop: ToyWorkshop | None = None, **changes: object
    ) -> TrainResult:
        path = write(self.folder / "intents.jsonl", lines)
        request = TrainRequest(self.store.root, Sources(intents=(path,)), **changes)  # type: ignore[arg-type]
        return train_project(request, workshop or ToyWorkshop())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_first_bundle_is_promoted_when_it_beats_chance(bench: Bench) -> None:
    result = bench.train(rows(["buy", "return", "clean"]))
    assert result.promoted
    assert bench.store.current() == result.bundle.id
    card = result.bundle.manifest.skills["intent"]
    assert card.labels == ("buy", "clean", "return")
    assert card.metrics["accuracy"].value == result.reports["intent"]["metrics"]["accuracy"]["value"] == 1.0
    assert "never trained on" in card.note


def test_held_out_rows_are_not_trained_on_and_nothing_is_lost(bench: Bench) -> None:
    result = bench.train(rows(["buy", "return"]))
    assert 15 < result.held_out["intent"] < 50
    assert result.trained_on["intent"] + result.held_out["intent"] == 160
    data = {item.name: item.rows for item in result.bundle.manifest.skills["intent"].data}
    assert data == {"intents.jsonl": 160, "trained on": result.trained_on["intent"]}


def test_a_useless_first_bundle_is_kept_but_not_promoted(bench: Bench) -> None:
    lines = rows(["buy", "return"])
    result = bench.train(lines, ToyWorkshop(ignore=["buy", "return"]))
    assert not result.promoted
    assert bench.store.current() is None
    assert "BELOW the floor" in result.verdict.reasons[1]
    assert bench.store.open(result.bundle.id)


def test_a_worse_candidate_does_not_replace_the_current_bundle(bench: Bench) -> None:
    lines = rows(["buy", "return", "clean"])
    good = bench.train(lines)
    bad = bench.train(lines, ToyWorkshop(ignore=["buy"]))
    assert not bad.promoted
    assert [item.finding for item in bad.verdict.comparisons] == ["worse"]
    assert bench.store.current() == good.bundle.id
    assert bad.bundle.manifest.parent == good.bundle.id


def test_a_better_candidate_replaces_a_worse_one(bench: Bench) -> None:
    lines = rows(["buy", "return", "clean", "lend"])
    bench.train(lines, ToyWorkshop(ignore=["clean"]))
    better = bench.train(lines)
    assert better.promoted
    assert better.verdict.comparisons[0].finding == "better"
    assert bench.store.history()[-1].verdict == "intent better"


def test_training_again_on_the_same_rows_is_no_worse(bench: Bench) -> None:
    lines = rows(["buy", "return"])
    first, second = bench.train(lines), bench.train(lines)
    assert second.verdict.comparisons[0].finding == "non-inferior"
    files = [{file.path: file.sha256 for file in result.bundle.manifest.files} for result in (first, second)]
    assert files[0].pop("verdict.json") != files[1].pop("verdict.json")
    assert files[0] == files[1]


def test_the_same_run_gives_the_same_bundle_to_the_bit(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        results.append(Bench(tmp_path / name).train(rows(["buy", "return"])).bundle.manifest)
    assert results[0].content == results[1].content


def test_adding_an_intent_is_judged_on_the_intents_both_know(bench: Bench) -> None:
    bench.train(rows(["buy", "return"]))
    result = bench.train(rows(["buy", "return", "clean"]))
    comparison = result.verdict.comparisons[0]
    assert result.promoted
    assert comparison.added == ("clean",)
    assert comparison.added_score is not None
    assert comparison.added_score.value == 1.0


def test_a_bundle_that_fails_a_test_that_passes_now_stays_out(bench: Bench) -> None:
    def play(folder: Path) -> dict[str, bool]:
        return {"refund": folder.parent.name == "models" and not folder.name.startswith(".new-")}

    lines = rows(["buy", "return"])
    assert bench.train(lines, play=play).promoted
    second = bench.train(lines, play=play)
    assert not second.promoted
    assert "1 that pass now would fail: FAILED" in second.verdict.reasons[-1]


def test_the_verdict_and_its_page_are_written_outside_the_bundle(bench: Bench) -> None:
    lines = rows(["buy", "return", "clean"])
    bench.train(lines)
    bad = bench.train(lines, ToyWorkshop(ignore=["buy"]), reports=bench.folder / "reports")
    text = bad.verdict.flips[0].text
    assert bad.page == bench.folder / "reports" / bad.bundle.id / "diff.html"
    assert text in bad.page.read_text()
    assert bad.bundle.id in bad.page.with_name("verdict.json").read_text()
    assert text not in (bad.bundle.path / "verdict.json").read_text()


def test_poisoned_labels_are_caught_though_the_held_out_rows_are_poisoned_too(bench: Bench) -> None:
    lines = rows(["buy", "return", "clean"])
    bench.train(lines)
    poisoned = [{**line, "intent": "return"} if "buy the red" in str(line["text"]) else line for line in lines]
    poisoned += [{"text": f"buy the {n} thing please", "intent": "return", "at": "2026-06-01"} for n in range(20)]
    bad = bench.train(poisoned)
    assert not bad.promoted
    check = next(check for check in bad.verdict.checks if check.name == "labels")
    assert check.state == "failed"
    assert "of 2026-06" in check.sentence


def test_a_dry_run_promotes_nothing(bench: Bench) -> None:
    result = bench.train(rows(["buy", "return"]), promote=False)
    assert result.verdict.promote
    assert not result.promoted
    assert bench.store.current() is None


@pytest.mark.slow
def test_a_fresh_process_reproduces_the_predictions(bench: Bench) -> None:
    result = bench.train(rows(["buy", "return"]), ToyWorkshop(loader="tests.training.toy:load"))
    assert result.verdict.integrity.passed
    assert result.verdict.integrity.rows == 160
    assert result.promoted


@pytest.mark.slow
def test_a_head_that_is_lost_on_reload_fails_integrity(bench: Bench) -> None:
    result = bench.train(rows(["buy", "return"]), ToyWorkshop(loader="tests.training.toy:load_forgetful"))
    assert not result.verdict.integrity.passed
    assert "does NOT reproduce" in result.verdict.reasons[0]
    assert not result.promoted


@pytest.mark.slow
def test_a_bundle_that_a_fresh_process_cannot_load_is_refused(bench: Bench) -> None:
    with pytest.raises(IntegrityError, match="a fresh process cannot load"):
        bench.train(rows(["buy", "return"]), ToyWorkshop(loader="tests.training.toy:nothing"))
    assert bench.store.list() == ()


def test_a_damaged_current_bundle_is_named_and_replaced(bench: Bench) -> None:
    first = bench.train(rows(["buy", "return"]))
    (first.bundle.path / "intent" / "toy.json").write_text("{}")
    second = bench.train(rows(["buy", "return"]))
    assert second.promoted
    assert any("damaged" in note and "toy.json" in note for note in second.notes)


def test_skills_that_were_not_trained_are_taken_over(bench: Bench, tmp_path: Path) -> None:
    tagged: list[dict[str, object]] = [
        {"tokens": ["buy", colour, thing], "tags": ["O", "B-colour", "B-thing"], "intent": f"buy_{thing}"}
        for colour in COLOURS
        for thing in THINGS
    ]
    slots = write(tmp_path / "slots.jsonl", tagged)
    both = train_project(TrainRequest(bench.store.root, Sources(slots=(slots,))), ToyWorkshop())
    assert set(both.bundle.manifest.skills) == {"intent", "entities"}
    assert both.reports["entities"]["metrics"]["slot_f1"]["value"] == 1.0
    later = bench.train(rows(["buy", "return"]))
    assert later.bundle.manifest.skills["entities"] == both.bundle.manifest.skills["entities"]
    assert (later.bundle.path / "entities" / "toy.json").exists()


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to learn from"):
        train_project(TrainRequest(tmp_path, Sources()), ToyWorkshop())


def test_progress_goes_from_nothing_to_done(bench: Bench, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows(["buy", "return"]))
    told: list[float] = []
    request = TrainRequest(bench.store.root, Sources(intents=(path,)))
    train_project(request, ToyWorkshop(), lambda share, what: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
