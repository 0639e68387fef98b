"""The real loop on a few sentences, with the real synthesisers."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from training.hearing.__main__ import main
from training.hearing.fit import Recipe, fit, hear, hidden
from training.hearing.net import opened
from training.hearing.score import held_out

TINY = Recipe(
    sentences=20,
    ranks=300,
    width=64,
    encoder=1,
    decoder=1,
    steps=6,
    batch=3,
    keep_every=2,
    measure=3,
    dev=2,
    people=0.4,
    recorded=0,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "speech"
    folder.mkdir()
    dice = np.random.default_rng(0)
    for name, text in (("fsdd", "four"), ("speechocean762", "this is a step")):
        row = {"path": "a.flac", "text": text, "speaker": "s", "lang": "en"}
        (folder / f"{name}.train.jsonl").write_text(json.dumps(row) + "\n")
        file = io.BytesIO()
        soundfile.write(file, dice.standard_normal(9000) * 0.1, 16_000, format="FLAC")
        with zipfile.ZipFile(folder / f"{name}.train.zip", "w") as archive:
            archive.writestr("a.flac", file.getvalue())
    return folder.parent


def test_hidden_bands_and_spans_keep_the_shape() -> None:
    mel = torch.randn(3, 80, 100)
    assert hidden(mel.clone(), np.random.default_rng(0)).shape == mel.shape
    assert not torch.equal(hidden(mel.clone(), np.random.default_rng(0)), mel)


@pytest.mark.slow
def test_a_run_that_is_broken_off_ends_as_one_that_is_not(data: Path, tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    def break_off(share: float, what: str) -> None:
        if what.startswith("step 5"):
            raise Broken

    whole = fit(data, TINY, tmp_path / "whole")
    with pytest.raises(Broken):
        fit(data, TINY, tmp_path / "broken", break_off)
    again = fit(data, TINY, tmp_path / "broken")
    assert [one["step"] for one in again["measured"]] == [one["step"] for one in whole["measured"]] == [3, 6]
    first, second = (opened(tmp_path / name / "model.pt").state_dict() for name in ("whole", "broken"))
    assert all(torch.equal(weights, second[name]) for name, weights in first.items())
    clip = held_out(1, seed=3, recorded=0)[0]
    assert len(hear(opened(tmp_path / "whole" / "model.pt"), [clip.samples])) == 1
    assert (tmp_path / "whole" / "curve.svg").read_text().startswith("<svg")
    assert "6 steps of 3 utterances" in (tmp_path / "whole" / "README.md").read_text()
    with pytest.raises(ValueError, match="another plan"):
        fit(data, replace(TINY, steps=9), tmp_path / "whole")


def test_a_missing_folder_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--sentences",
        "2",
        "--dev",
        "1",
        "--recorded",
        "0",
    ]
    assert main([*arguments, "--width", "64", "--encoder", "1", "--decoder", "1"]) == 2
    assert "--data wants the folder" in capsys.readouterr().err
