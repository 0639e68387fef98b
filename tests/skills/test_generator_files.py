"""A trained generator and the base that it belongs to. No torch: the files are written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.core.errors import IntegrityError, NotFound
from skills.generator_files import CARD, Base, check_base, knows_marks, read_card, write_card
from skills.prompting import special_tokens


def base(folder: Path, seed: int = 0, template: str = "{{ messages }}") -> Path:
    folder.mkdir(parents=True)
    save_file({"w": np.random.default_rng(seed).normal(size=4).astype(np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text('{"added_tokens": []}')
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return folder


def trained(folder: Path, on: Path) -> Path:
    folder.mkdir()
    write_card(folder, Base.of(on), {"rows": ["a"]})
    return folder


def test_it_belongs_to_a_copy_of_its_base(tmp_path: Path) -> None:
    generator = trained(tmp_path / "generator", base(tmp_path / "base"))
    check_base(generator, base(tmp_path / "elsewhere" / "base"))
    assert read_card(generator)["rows"] == ["a"]


def other_weights(folder: Path) -> None:
    save_file({"w": np.ones(4, np.float32)}, folder / "model.safetensors")


def other_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"added_tokens": [], "more": 1}')


def other_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("another")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_weights, "another base model"),
        (other_tokenizer, "another tokenizer"),
        (other_template, "another form of prompts"),
    ],
)
def test_another_base_is_refused(tmp_path: Path, change: Callable[[Path], None], message: str) -> None:
    generator = trained(tmp_path / "generator", base(tmp_path / "base"))
    change(other := base(tmp_path / "other"))
    with pytest.raises(IntegrityError, match=f"{message}.*bot train"):
        check_base(generator, other)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9, "base": {"weights":"a","tokenizer":"b","template":"c"}}'])
def test_a_note_that_does_not_tell_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / CARD).write_text(content)
    with pytest.raises(IntegrityError, match=CARD):
        read_card(tmp_path)


def test_a_folder_without_weights_or_tokenizer_is_no_base(tmp_path: Path) -> None:
    folder = base(tmp_path / "base")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(NotFound, match=r"tokenizer\.json"):
        Base.of(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(NotFound, match="safetensors"):
        Base.of(folder)


def test_our_own_marks_are_the_form_of_prompts_where_the_tokenizer_has_them(tmp_path: Path) -> None:
    folder = base(tmp_path / "base")
    plain = Base.of(folder).template
    tokens = [{"content": token} for token in special_tokens()]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    assert knows_marks(folder) and Base.of(folder).template != plain
