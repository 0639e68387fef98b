"""From files to a model folder: tokenizer, rows, two stages of training, and what they were worth.

Stage one learns every word of talk and of tasks; stage two the answers of tasks alone, with some talk so that it is not
forgotten, while the rate falls. Bits per byte on dev talk tell how well the language is known, whatever the vocabulary;
the loss on dev answers tells how well the task is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.generator import Sample, tokens_of
from training.packing import Rows, pack
from training.progress import Progress, part
from training.starter import corpus
from training.starter.card import card
from training.starter.copying import begin_copying
from training.starter.picture import picture
from training.steps import Plan, Point, loss_of, train


@dataclass(frozen=True)
class Recipe:
    """What is trained.

    `tokens`: how many stage one reads; stage two reads a `share` of as many. `tasks`: the share of the agents' replies
    that one is made of.
    """

    vocabulary: int = 6144
    width: int = 256
    layers: int = 6
    length: int = 512
    batch: int = 8
    tokens: int = 4_200_000
    share: float = 0.35
    tasks: float = 0.1
    rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Files:
    """The samples of both stages and of dev."""

    talk: Sequence[Sample]
    tasks: Sequence[Sample]
    dev_talk: Sequence[Sample]
    dev_tasks: Sequence[Sample]


def read(data: Path, share: float) -> Files:
    """The public files as samples, tasks made from a share of the replies.

    Raises:
        NotFound: a file is missing.
    """
    parts = []
    for split in ("train", "dev"):
        found = list(corpus.dialogues(data, split))
        parts += [list(corpus.windows(found)), [*corpus.tasks(found, share), *corpus.answers(data, split)]]
    return Files(*parts)


def pretrain(files: Files, recipe: Recipe, out: Path, progress: Progress) -> dict[str, Any]:
    """Train the starter into `out`; its figures, also in `out/figures.json`. A run that was broken off goes on."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(files, recipe, out)
    talk, tasks, dev_talk, dev_tasks = (
        _rows(tokenizer, samples, recipe) for samples in (files.talk, files.tasks, files.dev_talk, files.dev_tasks)
    )
    model = make(recipe, tokenizer)
    # The first stage keeps its rate to the end, and the second falls: the whole is one schedule.
    every = _rows(tokenizer, [Sample("", given + learned) for given, learned in (*files.talk, *files.tasks)], recipe)
    first = _plan(recipe, recipe.tokens, decay=0.0)
    border = 1 / (1 + recipe.share)
    curve = train(model, every, first, out / "first", part(progress, 0.0, border))
    mixed = _mixed(tasks, talk)
    second = _plan(recipe, int(recipe.tokens * recipe.share), decay=1.0)
    later = train(model, mixed, second, out / "second", part(progress, border, 1.0))
    model.half().save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    model.float()  # what was saved is what is measured
    figures = {
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "bits_per_byte": bits_per_byte(model, dev_talk, files.dev_talk),
        "answer_loss": loss_of(model, dev_tasks) / dev_tasks.learned,
        "curve": [[point.learned, round(point.loss, 4)] for point in _joined(curve, later)],
    }
    (out / "figures.json").write_text(json.dumps(figures) + "\n")
    (out / "loss.svg").write_text(picture(curve, later))
    (out / "README.md").write_text(card(figures, recipe))
    return figures


def tokenizer_of(files: Files, recipe: Recipe, out: Path) -> Any:
    """A byte-level BPE tokenizer of the train texts, from `out` if it was made before.

    Digits are tokens of their own: a value that is not behind a placeholder is then easy to forbid.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from skills.prompting import END, PAD, special_tokens

    path = out / "tokenizer.json"
    if not path.exists():
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=recipe.vocabulary,
            special_tokens=list(special_tokens()),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator((sample.given + sample.learned for sample in (*files.talk, *files.tasks)), trainer)
        made.save(str(path))
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_file=str(path), eos_token=END, pad_token=PAD)


def make(recipe: Recipe, tokenizer: Any) -> Any:
    """An untrained model that copies, the same for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=8 * recipe.width // 3 // 16 * 16,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.width // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = LlamaForCausalLM(config)
    begin_copying(model, recipe.seed)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def bits_per_byte(model: Any, rows: Rows, samples: Iterable[Sample]) -> float:
    """How many bits the model needs for a byte of text: a measure that does not depend on the vocabulary."""
    text = sum(len((sample.given + sample.learned).encode()) for sample in samples)
    return loss_of(model, rows) / math.log(2) / text


def _rows(tokenizer: Any, samples: Sequence[Sample], recipe: Recipe) -> Rows:
    """The samples in rows. Talk that is too long goes on in another; a task is left out, for half of it is another."""
    tokens = tokens_of(tokenizer, samples)
    pairs = zip(tokens, samples, strict=True)
    fitting = [one for one, sample in pairs if not sample.given or len(one.ids) <= recipe.length]
    return pack(fitting, recipe.length, tokenizer.pad_token_id)


def _plan(recipe: Recipe, tokens: int, decay: float) -> Plan:
    steps = max(2, round(tokens / (recipe.batch * recipe.length)))
    # AdamW alone: Muon's early steps, which move every direction alike, undo what the first weights know.
    return Plan(steps, batch=recipe.batch, rate=recipe.rate, hidden_rate=0.0, seed=recipe.seed, decay=decay)


def _mixed(tasks: Rows, talk: Rows) -> Rows:
    """The tasks' rows, and a third as many of talk."""
    import numpy as np

    some = talk.take(np.arange(min(len(talk.ids), len(tasks.ids) // 3)))
    return Rows(*(np.concatenate(pair) for pair in zip(tasks, some, strict=True)))


def _joined(first: Sequence[Point], second: Sequence[Point]) -> list[Point]:
    before = first[-1].learned if first else 0
    return [*first, *(Point(point.step, point.loss, point.learned + before) for point in second)]
