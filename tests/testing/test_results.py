"""The files and the page of a test run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from bot.testing.figures import Share, classification, confused, shares
from bot.testing.page import Run, render
from bot.testing.picture import draw_confusion
from bot.testing.playing import Compared, play_stories
from bot.testing.reading import read_stories
from bot.testing.results import story_text, write_results
from bot.yaml import parse_yaml
from tests.testing.small import SUBJECT, write

GOOD = "- user: hello\n  intent: greet\n- action: utter_hi\n- user: I am fine\n  intent: good\n- action: utter_glad"
BAD = "- user: to Rome\n  intent: greet\n- action: utter_hi\n- user: bye\n  intent: goodbye\n- action: utter_hi"


async def ran(folder: Path) -> list[Compared]:
    return await play_stories(read_stories(write(folder, [("fine", GOOD), ("not <fine>", BAD)])), SUBJECT)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


async def test_files_have_rasas_names_and_shapes(tmp_path: Path) -> None:
    out = tmp_path / "results"
    written = write_results(out, await ran(tmp_path), successes=True)
    assert {path.name for path in written} == {path.name for path in out.iterdir()} == {
        "story_report.json", "failed_test_stories.yml", "successful_test_stories.yml", "stories_with_warnings.yml",
        "story_confusion_matrix.png", "intent_report.json", "intent_errors.json", "intent_confusion_matrix.png",
        "DIETClassifier_report.json", "DIETClassifier_errors.json",
    }  # fmt: skip
    report = read(out / "story_report.json")
    assert report["conversation_accuracy"] == {"accuracy": 0.5, "correct": 1, "with_warnings": 0, "total": 2}
    assert report["utter_bye"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0}
    assert read(out / "intent_report.json")["greet"]["confused_with"] == {"book": 1}
    (error,) = read(out / "intent_errors.json")
    assert error == {
        "text": "to Rome", "intent": "greet", "intent_prediction": {"name": "book", "confidence": 0.9},
    }  # fmt: skip
    (entities,) = read(out / "DIETClassifier_errors.json")
    assert entities["entities"] == [] and entities["predicted_entities"][0]["entity"] == "city"
    assert read(out / "DIETClassifier_report.json")["city"]["precision"] == 0.0


async def test_failed_stories_say_what_was_predicted_and_can_be_read_again(tmp_path: Path) -> None:
    failed = [one for one in await ran(tmp_path) if not one.passed]
    text = story_text(failed)
    assert "- intent: greet  # predicted: book" in text
    assert "- action: utter_hi  # predicted: utter_bye" in text
    assert parse_yaml(text, "f").map["stories"].items[0].map["story"].plain() == (
        "not <fine> (tests/test_stories.yml:10)"
    )


async def test_files_of_a_run_without_failures_say_so(tmp_path: Path) -> None:
    fine = [one for one in await ran(tmp_path) if one.passed]
    write_results(tmp_path / "a", fine)
    assert (tmp_path / "a" / "failed_test_stories.yml").read_text() == "# None of the test stories failed - all good!\n"
    write_results(tmp_path / "b", [])
    assert {path.name for path in (tmp_path / "b").iterdir()} == {
        "failed_test_stories.yml", "stories_with_warnings.yml", "story_report.json",
    }  # fmt: skip


async def test_the_page_shows_failures_and_escapes_texts(tmp_path: Path) -> None:
    page = render(Run("Test run", "b1", await ran(tmp_path), files=["story_report.json"]))
    assert "intent found: book (0.90)" in page and "chosen: utter_bye (RulePolicy)" in page
    assert "not &lt;fine&gt;" in page and "not <fine>" not in page
    assert page.index("What failed") < page.index("Who chose") < page.index("What passed")


async def test_figures_count_what_was_compared(tmp_path: Path) -> None:
    found = shares(await ran(tmp_path))
    assert found == {
        "stories": Share(1, 2), "steps": Share(6, 8), "intents": Share(3, 4), "entities": Share(0, 1),
        "actions": Share(6, 8),
    }  # fmt: skip


def test_a_report_holds_precision_recall_and_averages() -> None:
    report = classification([("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")])
    assert report["a"] == {"precision": 1.0, "recall": 0.5, "f1-score": 2 / 3, "support": 2}
    assert (report["accuracy"], report["weighted avg"]["support"]) == (0.75, 4)
    assert report["macro avg"]["recall"] == 0.75
    assert confused([("a", "a"), ("a", "b")], report)["a"]["confused_with"] == {"b": 1}


def test_a_label_may_be_left_out_of_the_averages() -> None:
    report = classification([("x", "x"), ("x", "city"), ("city", "city")], leave_out="x")
    assert set(report) == {"city", "micro avg", "macro avg", "weighted avg"}
    assert report["micro avg"] == {"precision": 0.5, "recall": 1.0, "f1-score": 2 / 3, "support": 1}


def test_a_confusion_matrix_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    draw_confusion([(f"label {n}", f"label {n % 7}") for n in range(80)], "Many", path)
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > 500


def test_nothing_at_all_is_right() -> None:
    assert Share(0, 0).value == 1.0
