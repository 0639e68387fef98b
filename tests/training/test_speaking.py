"""The generator as a skill of a bundle: a tiny random Llama, the real libraries, a made-up team."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.bundles import BundleStore
from bot.core.errors import IntegrityError, NotFound
from skills.generator_files import ADAPTER, CARD, MERGED, STARTER, check_base
from skills.prompting import prompt, task_of
from skills.values import Values
from tests.training.colleagues import WordSearch, log, many
from tests.training.toy import ToyWorkshop
from training.consent import cleared
from training.gather import Sources
from training.generator import AdapterOptions, Sample, load_adapted, load_base
from training.sides import SplitOptions
from training.speaking import SKILL, Speaking, base_folder, taught_by
from training.spoken import figures
from training.styles import prompt_of, style_of
from training.threads import one_thread
from training.train import TrainRequest, TrainResult, train_project
from training.wording import Replies, replies

pytestmark = pytest.mark.slow

QUICK = AdapterOptions(rank=4, epochs=3, rate=2e-2, batch=4, length=160)


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Replies:
    history = cleared(log(tmp_path_factory.mktemp("team"), many(72)), None)
    return replies(history, WordSearch(), SplitOptions())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, team: Replies) -> Path:
    """A random model whose tokenizer knows the team's words and our marks."""
    from training.starter.pretrain import Files, Recipe, make, tokenizer_of

    folder = tmp_path_factory.mktemp("base") / "tiny"
    folder.mkdir()
    wanted = [prompt_of(row) for row in team.rows]
    texts = [Sample(prompt(task_of(asked), Values()), reply) for asked, reply in wanted]
    recipe = Recipe(vocabulary=420, width=64, layers=2)
    tokenizer = tokenizer_of(Files(texts, texts, (), ()), recipe, folder)
    make(recipe, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, base: Path, team: Replies) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    Speaking(base, team, folder / "work", QUICK).fit(folder / SKILL)
    return folder


def test_it_learns_how_the_team_words_answers(base: Path, team: Replies, bundle: Path) -> None:
    speaking = Speaking(base, team, bundle / "work", QUICK)
    before, after = figures(speaking.spoken(None)), figures(speaking.spoken(bundle))
    assert after["perplexity"].high < 0.6 * before["perplexity"].low
    assert after["rouge_l"].value > before["rouge_l"].value
    assert {judged.text for judged in speaking.judged(bundle)} == {row.text for row in team.held_out if row.reply}
    names = [check.name for check in speaking.checks(bundle, None)]
    assert names[:2] == ["voice", "forgetting"]
    assert taught_by(bundle) == {row.id for row in team.train} and taught_by(bundle / "nothing") == frozenset()


def test_a_plain_peft_model_in_a_fresh_process_gives_the_same_logits(base: Path, bundle: Path) -> None:
    import torch

    code = (
        "import sys, json, torch; from transformers import AutoModelForCausalLM; from peft import PeftModel\n"
        "model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2]).eval()\n"
        "print(json.dumps(model(torch.arange(40)[None]).logits[0, -1].tolist()))"
    )
    command = [sys.executable, "-c", code, str(base), str(bundle / SKILL / ADAPTER)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    with torch.inference_mode():
        ids = torch.arange(40)[None]
        ours = load_adapted(base, bundle / SKILL / ADAPTER)[0].eval()(ids).logits[0, -1].numpy()
        merged = load_base(bundle / SKILL / MERGED)[0].eval()(ids).logits[0, -1].numpy()
    assert np.abs(np.array(json.loads(done.stdout)) - ours).max() < 1e-4
    assert np.abs(merged - ours).max() < 1e-4


def test_a_fit_that_was_killed_ends_with_the_same_bytes(
    base: Path, team: Replies, bundle: Path, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(share: float, what: str) -> None:
        if what.startswith("step 7 "):
            raise Killed

    speaking = Speaking(base, team, tmp_path / "work", QUICK)
    with pytest.raises(Killed):
        speaking.fit(tmp_path / "first", kill)
    steps: list[str] = []
    speaking.fit(tmp_path / SKILL, lambda share, what: steps.append(what))
    assert not steps[0].startswith("step 1 ")
    for file in (
        f"{ADAPTER}/adapter_model.safetensors",
        f"{ADAPTER}/adapter_config.json",
        f"{MERGED}/config.json",
        CARD,
    ):
        assert (tmp_path / SKILL / file).read_bytes() == (bundle / SKILL / file).read_bytes(), file
    speaking.clear()
    assert not (tmp_path / "work").exists()


def test_an_adapter_for_another_base_is_refused(base: Path, bundle: Path, tmp_path: Path) -> None:
    import torch

    other, tokenizer = load_base(base)
    with torch.no_grad():
        other.model.norm.weight += 1
    other.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(IntegrityError, match="another base model"):
        load_adapted(tmp_path / "other", bundle / SKILL / ADAPTER)
    with pytest.raises(IntegrityError, match="another base model"):
        check_base(bundle / SKILL, tmp_path / "other")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(IntegrityError, match="is no adapter"):
        load_adapted(base, tmp_path / "adapter")


def test_a_merged_model_that_writes_other_texts_is_refused(
    base: Path, team: Replies, bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle / SKILL, tmp_path / SKILL)
    load_base(base)[0].save_pretrained(tmp_path / SKILL / MERGED)
    with pytest.raises(IntegrityError, match="held-out texts are not what the adapter writes"):
        Speaking(base, team, tmp_path / "work", QUICK).check(tmp_path / SKILL)


def test_one_that_words_worse_holds_back_nothing_but_itself(
    base: Path, team: Replies, bundle: Path, tmp_path: Path
) -> None:
    spoiled = Speaking(base, team, tmp_path / "work", replace(QUICK, epochs=1, rate=0.3))
    made, why = spoiled.make(tmp_path / "stage", bundle, None)
    assert made is None and why.startswith("no new generator, the generator in use stays: voice: perplexity of")
    assert (tmp_path / "stage" / SKILL / CARD).read_bytes() == (bundle / SKILL / CARD).read_bytes()


def train(folder: Path, speaking: Speaking | None) -> TrainResult:
    lines = [{"text": f"{word} the kettle number {n}", "intent": word} for word in ("buy", "return") for n in range(40)]
    path = folder / "intents.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    request = TrainRequest(folder / "models", Sources(intents=(path,)), speaking=speaking)
    return train_project(request, ToyWorkshop())


def test_a_bundle_holds_it_with_its_verdict_and_the_next_one_keeps_it(
    base: Path, team: Replies, tmp_path: Path
) -> None:
    first = train(tmp_path, Speaking(base, team, tmp_path / "work", QUICK))
    card = first.bundle.manifest.skills[SKILL]
    assert first.promoted and card.method == "lora" and card.metrics["perplexity"].value > 1
    assert next(item for item in first.verdict.comparisons if item.skill == SKILL).metric == "rouge_l"
    assert {"voice", "forgetting"} <= {check.name for check in first.verdict.checks}
    assert first.trained_on[SKILL] == len(team.train)

    second = train(tmp_path, Speaking(base, team, tmp_path / "work", QUICK))
    third = train(tmp_path, None)
    for result in (second, third):
        assert (result.bundle.path / SKILL / CARD).read_bytes() == (first.bundle.path / SKILL / CARD).read_bytes()
        assert result.bundle.manifest.skills[SKILL] == card
    assert any("nothing new to learn" in note for note in second.notes)
    few = Speaking(base, Replies(), tmp_path / "work", QUICK)
    told = "no new generator, answers are said as approved: there is too little to learn from (replies of people: none)"
    assert few.make(tmp_path / "stage", None, None) == (None, told)
    assert BundleStore(tmp_path / "models").open_current() is not None


def test_a_chat_models_rows_end_as_its_template_ends_an_answer(team: Replies, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.skills.decoders import SIZES
    from training.starter.pretrain import Files, Recipe, tokenizer_of

    texts = [Sample(row.text, row.reply) for row in team.rows]
    tokenizer = tokenizer_of(Files(texts, texts, (), ()), Recipe(vocabulary=420), tmp_path)
    plain = json.loads((tmp_path / "tokenizer.json").read_text())
    names = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
    kept = [item | {"content": name} for item, name in zip(plain["added_tokens"], names, strict=False)]
    vocabulary = plain["model"]["vocab"]
    for old, new in zip(plain["added_tokens"], names, strict=False):
        vocabulary[new] = vocabulary.pop(old["content"])
    (tmp_path / "tokenizer.json").write_text(json.dumps({**plain, "added_tokens": kept}))
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = {"chat_template": template, "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    sizes: dict[str, Any] = {**SIZES, "vocab_size": len(tokenizer)}
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(tmp_path)
    style = style_of(tmp_path)
    said = next(row for row in team.train if row.reply)
    quiet = next(row for row in team.train if not row.reply)
    asked = style.asked(said)
    assert asked is not None and asked.sample.learned == f"{said.reply}<|im_end|>"
    assert said.passages[0] in asked.sample.given and asked.sample.given.endswith("<|im_start|>assistant\n")
    silent = style.asked(quiet)
    assert silent is not None and "[[no answer]]" in silent.sample.learned and "[[no answer]]" in silent.sample.given


def test_a_starter_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    if STARTER.is_dir():
        assert base_folder("starter", None, tmp_path) == STARTER
    else:
        with pytest.raises(NotFound, match="python -m"):
            base_folder("starter", None, tmp_path)
