"""`bot test`, `bot visualize` and `bot interactive` on a Rasa project with real models, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bot.yaml import read_yaml
from tests.commands import bot
from tests.examples.rasa_project import trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained("mood", tmp_path_factory), tmp_path_factory.mktemp("rasa") / "mood"))


def test_test_stories_are_compared_and_reported(mood: Path, tmp_path: Path) -> None:
    ran = bot("test", mood, "--out", tmp_path, "--fail-on-prediction-errors", "--successes", "--json")
    found = ran.json
    assert ran.code == (1 if found["failed"] else 0)
    assert found["steps"]["right"] >= 0.95 * found["steps"]["total"] > 0
    names = {Path(file).name for file in found["results"]}
    assert names == {path.name for path in tmp_path.iterdir()} >= {"report.html", "story_report.json"}
    assert json.loads((tmp_path / "story_report.json").read_text())["conversation_accuracy"]["total"] == found["played"]


def test_a_wrong_story_fails_with_its_line(mood: Path, tmp_path: Path) -> None:
    steps = "- {user: hello there, intent: hello}\n  - action: utter_farewell\n"
    (mood / "test_wrong.yml").write_text(f"stories:\n- story: wrong\n  steps:\n  {steps}")
    ran = bot("test", mood / "test_wrong.yml", "--out", tmp_path)
    (mood / "test_wrong.yml").unlink()
    assert ran.code == 1
    assert "test_wrong.yml:5: expected utter_farewell; found utter_hello" in ran.out
    assert "# predicted: utter_hello" in (tmp_path / "failed_test_stories.yml").read_text()


def test_a_talk_is_corrected_and_kept(mood: Path) -> None:
    typed = ["hello there", "", "", "", "everything is peachy today my friend", "feel_good", *[""] * 4]
    ran = bot("interactive", mood, typed="\n".join(typed) + "\n")
    assert ran.code == 0, ran.out
    (story,) = read_yaml(mood / "data" / "interactive_stories.yml", "s").map["stories"].items
    steps = story.map["steps"].plain()
    assert isinstance(steps, list)
    assert steps[:2] == [{"intent": "hello"}, {"action": "utter_hello"}] and {"intent": "feel_good"} in steps
    assert "- everything is peachy today my friend" in (mood / "data" / "interactive_nlu.yml").read_text()


def test_a_project_is_drawn(mood: Path, tmp_path: Path) -> None:
    found = bot("visualize", mood, "--out", tmp_path / "g.html", "--json").json
    assert [diagram["title"] for diagram in found["diagrams"]] == ["Rules", "Stories"]
    assert "<svg" in (tmp_path / "g.html").read_text()
    assert bot("visualize", mood, "--format", "mermaid", "--out", "-").out.startswith("flowchart LR")
