"""The model card of the starter: what it is and is not, what it has read, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_READ: Sequence[tuple[str, str, str]] = (
    ("MultiWOZ 2.1 (a part)", "dialogues", "MIT"),
    ("Schema-Guided Dialogue", "dialogues", "CC BY-SA 4.0"),
    ("STAR", "dialogues", "MIT"),
    ("Taskmaster-4", "dialogues", "CC BY 4.0"),
    ("Topical-Chat (a part)", "dialogues", "CDLA-Sharing-1.0"),
    ("QED (Natural Questions)", "questions with passages", "CC BY-SA 3.0"),
    ("PolicyQA", "questions with passages", "MIT"),
    ("COVID-QA", "questions with passages; answered questions", "Apache-2.0, the articles CC BY"),
    ("MedQuAD", "answered questions", "CC BY 4.0"),
    ("StackFAQ", "answered questions", "CC BY-SA"),
    ("DSTC9 and DSTC10 knowledge", "answered questions", "Apache-2.0"),
)
_CARD = """\
# The starter generator

A small language model that words an answer from passages it is given. `generator: {{model: starter}}` in a bot's
`bot.yml` has `bot train` fine-tune it on the replies of the team, by LoRA; after its gate has passed, answers are
said in its words, each sentence checked, and the approved answer stands in for any that is refused
(docs/generator.md).

**What it is.** A wording engine for supported content. {parameters:.1f} million weights, Llama architecture: {layers}
layers, width {width}, {vocabulary:,} tokens of its own byte-level BPE, float16, trained from nothing. Values
(numbers, dates, money, codes, addresses, names) are behind placeholders; code puts them back. Its first two layers
begin as weights that copy (decision 0166).

**What it is not.** No chatbot, and no source of knowledge: it follows no instructions, knows nothing of the world,
speaks English only, and without passages it has nothing to say. Do not serve it without the checks.

**Figures** on held-out dialogues and questions of the same files: {bits:.3f} bits a byte on talk; {loss:.2f} nats a
token on answers given their passages. Trained on {tokens:.1f} million tokens; the loss over the training is in
loss.svg and figures.json. How it sounds after a team's LoRA: docs/benchmarks/wording.md; what gets past the checks:
docs/benchmarks/faithfulness.md.

**What it has read.** Public data, the train split only; no sentence of it is in this repository:

| source | what | licence |
| --- | --- | --- |
{read}

Made again by `{command}`; the same files, seed and number of threads give the same weights.
"""


def card(figures: Mapping[str, Any], recipe: Any) -> str:
    """The card as Markdown. `recipe` is a `training.starter.pretrain.Recipe`."""
    return _CARD.format(
        parameters=figures["parameters"] / 1e6,
        layers=recipe.layers,
        width=recipe.width,
        vocabulary=recipe.vocabulary,
        bits=figures["bits_per_byte"],
        loss=figures["answer_loss"],
        tokens=recipe.tokens / 1e6,
        read="\n".join(f"| {' | '.join(row)} |" for row in _READ),
        command="python -m training.starter --data DIR --out skills/starter",
    )
