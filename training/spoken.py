"""What a generator makes of held-out replies: its texts, and how well it would have foreseen those of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.manifest import Metric
from training import likeness
from training import metrics as m
from training.examples import Origin
from training.gate.measured import groups_of
from training.generator import pad_of, tokens_of
from training.packing import Rows, pack
from training.rows import Row
from training.styles import Asked, Style, all_asked
from training.wording import Replies
from training.writing import write_all

_LENGTH = 640


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a model makes of the held-out rows: `texts` ("" if it would rather say nothing), and the summed loss of each
    right reply with the number of its tokens. `talk` is the mean loss of a token of what customers said, in nats."""

    rows: tuple[Row, ...]
    texts: tuple[str, ...]
    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    talk: float


def measure(model: Any, tokenizer: Any, style: Style, replies: Replies) -> Spoken:
    """Have a model write the held-out rows, and look at what it thinks of the right replies."""
    asked = all_asked(style, replies.held_out)
    losses = [_loss(model, tokenizer, one) for one in asked]
    return Spoken(
        rows=tuple(one.row for one in asked),
        texts=tuple(write_all(model, tokenizer, style, asked)),
        losses=tuple(loss for loss, _ in losses),
        tokens=tuple(count for _, count in losses),
        talk=talk_loss(model, tokenizer, style, replies),
    )


def talk_loss(model: Any, tokenizer: Any, style: Style, replies: Replies) -> float:
    """The mean loss of a token of what customers said, in nats: how well a model still knows their language."""
    talk = [style.talk([("user", text) for text in said]) for said in replies.talks]
    rows = pack(tokens_of(tokenizer, talk), _LENGTH, pad_of(tokenizer))
    return _loss_of(model, rows) / max(1, rows.learned)


def figures(found: Spoken) -> dict[str, Metric]:
    """How near to what people wrote, as figures; the rows of a conversation are drawn together."""
    told = [number for number, row in enumerate(found.rows) if row.reply]
    if not told:
        return {}
    said = [found.texts[number] for number in told]
    right = [found.rows[number].reply for number in told]
    groups = groups_of([origin_of(found.rows[number]) for number in told])
    statistics = {
        "rouge_l": m.mean([likeness.rouge_l(*pair) for pair in zip(said, right, strict=True)]),
        "bleu": likeness.bleu(said, right),
        "edits": m.mean([likeness.edits(*pair) for pair in zip(said, right, strict=True)]),
        "perplexity": perplexity([found.losses[number] for number in told], [found.tokens[number] for number in told]),
    }
    return {name: m.bootstrap(statistic, len(told), clusters=groups) for name, statistic in statistics.items()}


def perplexity(losses: Sequence[float], tokens: Sequence[int]) -> m.Statistic:
    """The perplexity of some texts as a statistic."""
    sums, counts = np.asarray(losses, np.float64), np.asarray(tokens, np.float64)
    return lambda weights: np.exp((weights @ sums) / (weights @ counts))


@dataclass(frozen=True, slots=True)
class Group:
    """What `groups_of` reads: rows of one conversation are alike."""

    origin: Origin
    text: str


def origin_of(row: Row) -> Group:
    """Where a row comes from."""
    return Group(Origin(row.conversation, row.channel, row.month, row.source, row.user), row.text)


def _loss(model: Any, tokenizer: Any, asked: Asked) -> tuple[float, int]:
    """The summed loss of a right reply, and its tokens."""
    tokens = tokens_of(tokenizer, [asked.sample])
    rows = pack(tokens, len(tokens[0].ids), pad_of(tokenizer))
    return _loss_of(model, rows), rows.learned


def _loss_of(model: Any, rows: Rows) -> float:
    from training.steps import loss_of

    return loss_of(model, rows, micro=1)
