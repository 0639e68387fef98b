"""From files to a model folder: tokenizer, rows, training, and what it was worth.

Of tasks only the answers are learned, and every word of some talk beside them. Learning the words of passages too, as
they come, was tried and undid the copying that the model begins with: in 100 steps the loss of held-out answers rose
from 3.2 to 3.7. Bits per byte on dev talk tell how well the language is known, whatever the vocabulary; the loss on dev
answers tells how well the task is.
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
from training.progress import Progress
from training.starter import corpus
from training.starter.card import card
from training.starter.copying import begin_copying
from training.starter.picture import picture
from training.steps import Plan, loss_of, train


@dataclass(frozen=True)
class Recipe:
    """What is trained.

    `tokens`: how many are read. `tasks`: the share of the agents' replies that a task is made of; `talk`: rows of talk
    for each row of tasks.
    """

    vocabulary: int = 6144
    width: int = 256
    layers: int = 6
    length: int = 512
    batch: int = 8
    tokens: int = 9_000_000
    tasks: float = 0.2
    talk: float = 0.1
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
    curve = train(model, _mixed(tasks, talk, recipe.talk), _plan(recipe), out / "run", progress)
    model.half().save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    model.float()  # what was saved is what is measured
    figures = {
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "bits_per_byte": bits_per_byte(model, dev_talk, files.dev_talk),
        "answer_loss": loss_of(model, dev_tasks) / dev_tasks.learned,
        "curve": [[point.learned, round(point.loss, 4)] for point in curve],
    }
    (out / "figures.json").write_text(json.dumps(figures) + "\n")
    (out / "loss.svg").write_text(picture(curve))
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


def _plan(recipe: Recipe) -> Plan:
    steps = max(2, round(recipe.tokens / (recipe.batch * recipe.length)))
    # AdamW alone: Muon's early steps, which move every direction alike, undo what the first weights know. Rows one by
    # one: only their learned tokens need the vocabulary's logits.
    return Plan(steps, batch=recipe.batch, micro=1, rate=recipe.rate, hidden_rate=0.0, seed=recipe.seed)


def _mixed(tasks: Rows, talk: Rows, share: float) -> Rows:
    """The tasks' rows, and a share as many of talk, evenly from all of it."""
    import numpy as np

    wanted = min(len(talk.ids), round(share * len(tasks.ids)))
    some = talk.take(np.arange(wanted) * len(talk.ids) // max(1, wanted))
    return Rows(*(np.concatenate(pair) for pair in zip(tasks, some, strict=True)))
