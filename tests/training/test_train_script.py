"""A project with stories: its bundle has a learned ranking, measured and described; one without has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.bundles import BundleStore
from bot.project import Project, load_project
from tests.training.toy import ToyWorkshop
from training.gather import Sources, gather
from training.split import SplitOptions
from training.train import TrainRequest, TrainResult, train_project

FILES = {
    "domain.yml": "intents: [greet, order]\nresponses:\n  utter_hi: [{text: Hi}]\n  utter_tea: [{text: Tea}]\n",
    "data/nlu.yml": """
nlu:
- intent: greet
  examples: |
    - hello there
    - good morning
    - hi
- intent: order
  examples: |
    - one kettle please
    - I want a mug
    - send me tea
""",
    "data/stories.yml": """
stories:
- story: both
  steps:
  - intent: greet
  - action: utter_hi
  - intent: order
  - action: utter_tea
- story: order
  steps:
  - intent: order
  - action: utter_tea
""",
}


def project(root: Path, **changes: str) -> Project:
    for name, content in {**FILES, **changes}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return load_project(root)


def train(root: Path, loaded: Project, **changes: object) -> TrainResult:
    request = TrainRequest(root / "models", Sources(project=loaded), split=SplitOptions(share=0.0), **changes)  # type: ignore[arg-type]
    return train_project(request, ToyWorkshop())


def test_stories_give_a_ranking_with_card_and_report(tmp_path: Path) -> None:
    result = train(tmp_path, project(tmp_path))
    card = result.bundle.manifest.skills["ranking"]
    assert card.labels == ("action_listen", "utter_hi", "utter_tea")
    assert (card.metrics["accuracy"].value, result.trained_on["ranking"]) == (1.0, 2)
    assert result.reports["ranking"]["bundle"] == result.bundle.id
    assert (result.bundle.path / "ranking").is_dir()


def test_the_ranking_alone_can_be_trained_or_taken_over(tmp_path: Path) -> None:
    first = train(tmp_path, project(tmp_path))
    alone = train(tmp_path, project(tmp_path), skills=("ranking",))
    assert (alone.bundle.path / "intent").is_dir()
    BundleStore(tmp_path / "models").promote(first.bundle.id, "back")
    others = train(tmp_path, project(tmp_path), skills=("intent",))
    assert json.loads((others.bundle.path / "ranking/toy.json").read_text()) == [
        "action_listen",
        "utter_hi",
        "utter_tea",
    ]


@pytest.mark.parametrize(
    "changes", [{"data/stories.yml": "stories: []\n"}, {"config.yml": "policies:\n- name: RulePolicy\n"}]
)
def test_without_stories_or_without_wanting_one_there_is_no_ranking(tmp_path: Path, changes: dict[str, str]) -> None:
    train(tmp_path, project(tmp_path))
    result = train(tmp_path, project(tmp_path, **changes))
    assert not (result.bundle.path / "ranking").exists()
    assert "ranking" not in result.bundle.manifest.skills


def test_a_project_gives_its_stories_with_wordings_of_their_intents(tmp_path: Path) -> None:
    found = gather(Sources(project=project(tmp_path)), SplitOptions(share=0.0)).ranking
    assert found is not None
    assert found.groups == (0, 1)
    assert found.texts["order"] == ("one kettle please", "I want a mug", "send me tea")
