"""`bot doctor` lets the speaker say a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.doctor import Finding, examine


def speaker(root: Path) -> Finding:
    return next(finding for finding in examine(root) if finding.what == "speaker")


def project(root: Path, settings: str) -> Path:
    (root / "domain.yml").write_text("intents: [greet]\nresponses: {utter_greet: [{text: Hi}]}\n")
    (root / "bot.yml").write_text(settings)
    return root


@pytest.mark.slow
def test_a_speaker_that_can_speak_is_named(tmp_path: Path) -> None:
    found = speaker(project(tmp_path, "voice: {enabled: true}\n"))
    assert (found.state, found.found[:9]) == ("ok", "espeak-ng")


@pytest.mark.slow
def test_a_speaker_that_cannot_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = speaker(project(tmp_path, "voice: {enabled: true}\n"))
    assert found.state == "error" and "apt-get install espeak-ng" in found.found


@pytest.mark.slow
def test_a_bot_without_calls_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert speaker(project(tmp_path, "name: Quiet\n")).state == "ok"
