"""A model of a few thousand weights learns a few sentences: the real loop, the real libraries, no public data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bot.core.errors import InputError
from skills.prompting import END, REPLY
from training.generator import AdapterOptions, fit_adapter, load_adapted, load_base, mean_loss, merge
from training.progress import silent
from training.starter.corpus import Dialogue, joined, tasks, windows
from training.starter.pretrain import Files, Recipe, bits_per_byte, make, pretrain, tokenizer_of
from training.starter.pretrain import _rows as rows_of
from training.steps import loss_of
from training.threads import one_thread

pytestmark = pytest.mark.slow

TALK = [
    Dialogue(
        f"talk {number}",
        (
            ("user", f"Where is my order {48000 + number}?"),
            ("bot", f"Your order {48000 + number} left our house on Monday."),
            ("user", "And when will the parcel be here?"),
            ("bot", "It usually takes three days to reach you."),
        ),
    )
    for number in range(30)
]
TINY = Recipe(vocabulary=600, width=64, layers=2, length=64, batch=4, tokens=8000, rate=4e-3)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def files() -> Files:
    made = list(tasks(TALK, 1.0))
    return Files(list(windows(TALK)), made, list(windows(TALK[:4])), made[:8])


def test_replies_become_tasks_that_their_sources_answer() -> None:
    made = list(tasks(TALK, 1.0))
    answered = [sample for sample in made if "abstain" not in sample.learned]
    assert 0.5 < len(answered) / len(made) < 1
    assert all(sample.given.endswith(REPLY) and sample.learned.endswith(END) for sample in made)
    chosen = [sample for sample in answered if "<|kb|>" in sample.given]
    whole = [sample.learned.removesuffix(END) in sample.given for sample in chosen]
    assert 0.3 < sum(whole) / len(whole) < 1  # the others are to be worded from their bare content
    values = re.compile(r"<[a-z]+\d+>")
    assert all(set(values.findall(sample.learned)) <= set(values.findall(sample.given)) for sample in chosen)
    assert made == list(tasks(TALK, 1.0))


def test_texts_that_were_split_into_words_are_joined() -> None:
    assert joined("I do n't know , but it 's ( mostly ) here .") == "I don't know, but it's (mostly) here."


def test_it_learns_and_a_run_that_was_broken_off_ends_as_one_that_was_not(files: Files, tmp_path: Path) -> None:
    figures = pretrain(files, TINY, tmp_path / "whole", silent)
    tokenizer = tokenizer_of(files, TINY, tmp_path / "whole")
    untrained = make(TINY, tokenizer)
    before = bits_per_byte(untrained, rows_of(tokenizer, files.dev_talk, TINY), files.dev_talk)
    assert figures["bits_per_byte"] < before / 2
    told = (tmp_path / "whole/README.md").read_text()
    assert f"{figures['bits_per_byte']:.3f} bits a byte" in told and "No chatbot" in told

    class Stop(Exception):
        pass

    def stop(done: float, what: str) -> None:
        if done > 0.3:
            raise Stop

    with pytest.raises(Stop):
        pretrain(files, TINY, tmp_path / "cut", stop)
    assert pretrain(files, TINY, tmp_path / "cut", silent) == figures
    assert (tmp_path / "cut/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="another plan"):
        pretrain(files, replace(TINY, tokens=9000), tmp_path / "cut", silent)


def test_samples_of_a_row_do_not_see_each_other(files: Files, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(files, TINY, tmp_path)
    model = make(TINY, tokenizer)
    packed = rows_of(tokenizer, files.talk[:6], replace(TINY, length=128))
    alone = [rows_of(tokenizer, [sample], TINY) for sample in files.talk[:6]]
    assert len(packed.ids) < len(alone)
    assert np.isclose(loss_of(model, packed), sum(loss_of(model, rows) for rows in alone), rtol=1e-5)


def test_an_adapter_learns_loads_in_plain_peft_and_merges_to_the_same_text(files: Files, tmp_path: Path) -> None:
    from peft import PeftModel

    tokenizer = tokenizer_of(files, TINY, tmp_path)
    make(TINY, tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    options = AdapterOptions(rank=4, epochs=8, length=64, rate=1e-2)
    fit_adapter(tmp_path, files.tasks, tmp_path / "run", options)
    adapter = tmp_path / "run/adapter"
    models = (load_base(tmp_path), load_adapted(tmp_path, adapter))
    before, after = (mean_loss(*model, files.dev_tasks, 64) for model in models)
    assert after < before - 1
    merge(tmp_path, adapter, tmp_path / "merged")
    ids = torch.tensor([tokenizer(files.tasks[0].given)["input_ids"]])
    with torch.inference_mode():
        loaded = PeftModel.from_pretrained(load_base(tmp_path)[0], str(adapter)).eval()
        assert torch.allclose(loaded(ids).logits, load_base(tmp_path / "merged")[0].eval()(ids).logits, atol=1e-4)


def test_nothing_to_learn_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no reply to learn from"):
        fit_adapter(tmp_path, [], tmp_path / "run", AdapterOptions())


def test_an_untrained_model_goes_on_with_what_it_read_before(files: Files, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(files, TINY, tmp_path)
    model = make(replace(TINY, width=256), tokenizer).eval()
    once = torch.randperm(len(tokenizer), generator=torch.Generator().manual_seed(0))[:100]
    with torch.inference_mode():
        foreseen = model(torch.cat([once, once])[None]).logits[0, 100:-1].argmax(-1)
    assert (foreseen == once[1:]).float().mean() > 0.9
