"""Fine-tunes a generator by LoRA (Hu et al. 2021): few weights beside the frozen ones, saved as the peft library does.

Rows are tasks with the reply that was approved, corrected or written by an agent; only replies are learned. The
adapter's folder loads in `peft.PeftModel.from_pretrained` and in other servers as it is. For serving it is merged into
a copy of the base, which is measured like any other bundle before anybody speaks through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bot.core.errors import InputError
from training.packing import Tokens, pack
from training.progress import Progress, silent
from training.steps import Plan, Point, loss_of, train


class Sample(NamedTuple):
    """A text in two parts: what is given, and what is to be learned."""

    given: str
    learned: str


@dataclass(frozen=True)
class AdapterOptions:
    """`rank` of the added matrices, `scale` of what they add (alpha / rank); `epochs` over the rows."""

    rank: int = 16
    scale: float = 2.0
    dropout: float = 0.05
    epochs: int = 3
    rate: float = 1e-3
    batch: int = 8
    length: int = 384
    seed: int = 0


def fit_adapter(
    base: Path, samples: Sequence[Sample], out: Path, options: AdapterOptions, progress: Progress = silent
) -> list[Point]:
    """Train an adapter for the model in `base` into `out/adapter`; the curve. A run that was broken off goes on.

    Raises:
        InputError: there is nothing to learn.
    """
    if not samples:
        raise InputError("no reply to learn from; rate, correct or approve some, or import conversations of agents")
    import torch
    from peft import LoraConfig, get_peft_model

    model, tokenizer = load_base(base)
    rows = pack(tokens_of(tokenizer, samples), options.length, tokenizer.pad_token_id)
    torch.manual_seed(options.seed)
    alpha = round(options.rank * options.scale)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    adapted: Any = get_peft_model(model, config)
    steps = max(1, len(rows.ids) // options.batch) * options.epochs
    plan = Plan(
        steps, min(options.batch, len(rows.ids)), rate=options.rate, hidden_rate=0, decay=1.0, seed=options.seed
    )
    curve = train(adapted, rows, plan, out, progress)
    adapted.save_pretrained(out / "adapter", safe_serialization=True)
    return curve


def merge(base: Path, adapter: Path, out: Path) -> None:
    """Write the base with the adapter's changes in its own weights: what the engine is built from."""
    from peft import PeftModel

    model, tokenizer = load_base(base)
    loaded: Any = PeftModel.from_pretrained(model, str(adapter))
    loaded.merge_and_unload().save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)


def load_base(folder: Path) -> tuple[Any, Any]:
    """A model and its tokenizer, from a folder; code that lies there is never run."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer
    found = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    return found, tokenizer.from_pretrained(folder, local_files_only=True)


def tokens_of(tokenizer: Any, samples: Sequence[Sample]) -> list[Tokens]:
    """Samples as token ids; the two parts are split apart, so that no token lies across."""
    given = tokenizer([sample.given for sample in samples])["input_ids"]
    learned = tokenizer([sample.learned for sample in samples])["input_ids"]
    return [Tokens([*first, *second], len(first)) for first, second in zip(given, learned, strict=True)]


def perplexity_loss(folder: Path, adapter: Path | None, samples: Sequence[Sample], length: int = 384) -> float:
    """The mean loss of a learned token, in nats: the logarithm of the perplexity."""
    from peft import PeftModel

    model, tokenizer = load_base(folder)
    loaded: Any = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    rows = pack(tokens_of(tokenizer, samples), length, tokenizer.pad_token_id)
    return loss_of(loaded, rows) / rows.learned
