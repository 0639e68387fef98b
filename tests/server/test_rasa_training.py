"""A whole project that comes as one text is trained by a child process, kept, packed and put to use."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest

from bot.app import load_encoder, load_models
from bot.core.errors import ProjectError
from bot.core.protocols import Utterance
from bot.rasa_training import Trainer
from connectors.rasa_api.operations import NotNow, Order

GREETINGS = ["hello", "hi there", "good morning", "hey you", "greetings", "good evening", "hello bot", "hi friend",
             "hey hey", "morning all"]  # fmt: skip
PARTINGS = ["goodbye", "see you", "bye bye", "until tomorrow", "farewell", "good night", "bye now", "see you later",
            "I am leaving", "that was all, bye"]  # fmt: skip
LINES = "\n".join(f"    - {text}" for text in GREETINGS), "\n".join(f"    - {text}" for text in PARTINGS)
PROJECT = f"""
version: "3.1"
assistant_id: tiny
language: en
policies: [{{name: RulePolicy}}]
intents: [greet, part]
responses:
  utter_greet: [{{text: "Hello: you!"}}]
  utter_part: [{{text: Bye.}}]
nlu:
- intent: greet
  examples: |
{LINES[0]}
- intent: part
  examples: |
{LINES[1]}
rules:
- rule: greet
  steps: [{{intent: greet}}, {{action: utter_greet}}]
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    """For a served project with settings and secrets of its own."""
    root = tmp_path / "served"
    root.mkdir()
    (root / "bot.yml").write_text("name: Served\nstate: /nowhere\nserver: {token: a-token-nobody-may-see}\n")
    (root / "endpoints.yml").write_text("action_endpoint: {url: http://127.0.0.1:1/webhook, token: secret}\n")
    return Trainer(root, tmp_path / "state")


@pytest.mark.slow
async def test_a_project_is_trained_kept_packed_and_usable(trainer: Trainer, tmp_path: Path) -> None:
    training = asyncio.create_task(trainer.train(Order(PROJECT)))
    await asyncio.sleep(0.01)
    with pytest.raises(NotNow):
        await trainer.train(Order(PROJECT))
    assert trainer.active == 1
    trained = await training
    bundle = trained.name.removesuffix(".tar.gz")
    with tarfile.open(fileobj=io.BytesIO(trained.content)) as archive:
        names = archive.getnames()
    assert f"{bundle}/domain.yml" in names and f"{bundle}/.bot/models/CURRENT" in names
    assert not any(name.endswith(("endpoints.yml", "bot.yml")) for name in names)
    assert [path.name for path in (tmp_path / "state" / "trained").iterdir()] == [bundle]
    project = trainer.find(bundle)
    assert project is not None and project.program.assistant == "tiny" and trainer.find("../served") is None
    loaded = load_models(project, load_encoder(project.settings, project.root))
    found = await loaded.models.understand(Utterance("hello there"))
    await loaded.close()
    assert found.intents[0].name == "greet" and loaded.bundle.id == bundle
    assert loaded.models.program.responses["utter_greet"][0].text == "Hello: you!"


@pytest.mark.slow
async def test_what_cannot_be_learned_from_is_explained_and_nothing_is_left(trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="nothing could be trained"):
        await trainer.train(Order("intents: [greet]\nnlu: []\n"))
    assert list((tmp_path / "state" / "trained").iterdir()) == [] and trainer.active == 0


@pytest.mark.slow
async def test_a_training_that_is_broken_off_leaves_nothing(trainer: Trainer, tmp_path: Path) -> None:
    training = asyncio.create_task(trainer.train(Order(PROJECT)))
    while not any((tmp_path / "state" / "trained").glob(".work-*/domain.yml")):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    assert list((tmp_path / "state" / "trained").iterdir()) == []
    assert trainer.active == 0
