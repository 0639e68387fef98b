"""Fine-tunes a generator by LoRA (Hu et al. 2021): few weights beside the frozen ones, saved as the peft library does.

Rows are tasks with the reply that was approved, corrected or written by an agent; only replies are learned. The
adapter's folder loads in `peft.PeftModel.from_pretrained` and in other servers as it is. For serving it is merged into
a copy of the base, which is measured like any other bundle before anybody speaks through it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.core.errors import InputError, IntegrityError, NotFound
from skills.generator_files import ADAPTER, CARD, check_base
from training.packing import Tokens, pack
from training.progress import Progress, silent
from training.threads import one_thread

if TYPE_CHECKING:
    from training.steps import Point

_SMALL = 50_000_000
"""Weights up to which one thread is as fast as more."""


class Sample(NamedTuple):
    """A text in two parts: what is given, and what is to be learned."""

    given: str
    learned: str


@dataclass(frozen=True)
class AdapterOptions:
    """`rank` of the added matrices, `scale` of what they add (alpha / rank); `epochs` over the rows.

    `rate` falls to nothing after a short rise; `batch` and `length` are rows of a step and tokens of a row.
    """

    rank: int = 8
    scale: float = 2.0
    dropout: float = 0.05
    epochs: int = 4
    rate: float = 2e-3
    batch: int = 4
    length: int = 640
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
    torch.manual_seed(options.seed)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=round(options.rank * options.scale),
        lora_dropout=options.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    adapted: Any = get_peft_model(model, config)
    with _threads(model):
        curve = fit(adapted, tokenizer, samples, out, options, progress)
    adapted.save_pretrained(out / ADAPTER, safe_serialization=True)
    _settle(out / ADAPTER, base)
    return curve


def fit(
    model: Any, tokenizer: Any, samples: Sequence[Sample], work: Path, options: AdapterOptions, progress: Progress
) -> list[Point]:
    """Train what of a model is to be trained, with checkpoints in `work`."""
    from training.steps import Plan, train

    rows = pack(tokens_of(tokenizer, samples), options.length, pad_of(tokenizer))
    batch = min(options.batch, len(rows.ids))
    steps = max(1, len(rows.ids) // batch) * options.epochs
    plan = Plan(
        steps, batch, micro=1, rate=options.rate, hidden_rate=0, warm=0.06, decay=0.94, seed=options.seed, keep_every=5
    )
    return train(model, rows, plan, work, progress)


def _settle(adapter: Path, base: Path) -> None:
    """The same adapter has the same bytes wherever it is made: no paths, and sets in order."""
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base.name, "target_modules": sorted(config["target_modules"])}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (adapter / "README.md").unlink(missing_ok=True)


@contextmanager
def _threads(model: Any) -> Iterator[None]:
    """One thread for a small model, see `one_thread`; a large one takes what there is."""
    with one_thread() if sum(weights.numel() for weights in model.parameters()) < _SMALL else nullcontext():
        yield


def merge(base: Path, adapter: Path, out: Path) -> None:
    """Write the base with the adapter's changes in its own weights: what the engine is built from."""
    model, tokenizer = load_adapted(base, adapter)
    model.merge_and_unload().save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    for name in ("config.json", "generation_config.json"):
        _without_path(out / name)


def _without_path(file: Path) -> None:
    if file.is_file():
        plain = json.loads(file.read_text(encoding="utf-8"))
        plain.pop("_name_or_path", None)
        file.write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_adapted(base: Path, adapter: Path) -> tuple[Any, Any]:
    """A base with an adapter beside it, and its tokenizer.

    Raises:
        IntegrityError: the adapter belongs to another base, or is damaged.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    if (adapter.parent / CARD).is_file():
        check_base(adapter.parent, base)
    if not (adapter / "adapter_config.json").is_file():  # peft would ask the hub
        raise IntegrityError(str(adapter), "holds no adapter_config.json; train again: bot train")
    model, tokenizer = load_base(base)
    try:
        found: Any = PeftModel.from_pretrained(model, str(adapter))
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        said = " ".join(str(error).split())[:200]
        raise IntegrityError(str(adapter), f"is no adapter for {base}: {said}; train again: bot train") from error
    return found, tokenizer


def load_base(folder: Path) -> tuple[Any, Any]:
    """A model and its tokenizer, from a folder; code that lies there is never run.

    Raises:
        NotFound: there is no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    # peft asks a model by a name that transformers will drop; who reads the terminal can do nothing about it.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    tokenizer: Any = AutoTokenizer
    try:
        options = {"use_safetensors": True, "local_files_only": True, "dtype": torch.float32}
        found = AutoModelForCausalLM.from_pretrained(folder, **options)
        return found, tokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise NotFound(f"generator {str(folder)!r} cannot be loaded: {error}") from error


def tokens_of(tokenizer: Any, samples: Sequence[Sample]) -> list[Tokens]:
    """Samples as token ids; the two parts are split apart, so that no token lies across."""
    texts = ([sample.given for sample in samples], [sample.learned for sample in samples])
    given, learned = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in texts)
    return [Tokens([*first, *second], len(first)) for first, second in zip(given, learned, strict=True)]


def pad_of(tokenizer: Any) -> int:
    """The token that fills rows; no sample sees it."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def mean_loss(model: Any, tokenizer: Any, samples: Sequence[Sample], length: int = 640) -> float:
    """The mean loss of a learned token, in nats: the logarithm of the perplexity."""
    from training.steps import loss_of

    rows = pack(tokens_of(tokenizer, samples), length, pad_of(tokenizer))
    return loss_of(model, rows, micro=1) / rows.learned
