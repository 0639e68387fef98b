"""Has a transformers model write many texts at once, each token chosen under the rules of its own prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.generator import pad_of
from training.styles import Asked, Style

_BATCH = 16


def write_all(model: Any, tokenizer: Any, style: Style, asked: Sequence[Asked], limit: int = 80) -> list[str]:
    """What a model writes for each row, as a customer would see it. `limit` is in tokens."""
    found: list[str] = []
    for start in range(0, len(asked), _BATCH):
        some = asked[start : start + _BATCH]
        texts = [tokenizer.decode(row) for row in _written(model, tokenizer, style, some, limit)]
        found += [style.shown(one, text) for one, text in zip(some, texts, strict=True)]
    return found


def _written(model: Any, tokenizer: Any, style: Style, asked: Sequence[Asked], limit: int) -> list[list[int]]:
    """The tokens of each text, without the one that ends it."""
    import torch

    prompts = [tokenizer(one.sample.given, add_special_tokens=False)["input_ids"] for one in asked]
    width, pad = max(map(len, prompts)), pad_of(tokenizer)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    written: list[list[int]] = [[] for _ in asked]
    past, open_ = None, set(range(len(asked)))
    with torch.inference_mode():
        model.eval()
        for _ in range(limit):
            places = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            out = model(ids, attention_mask=mask, position_ids=places, past_key_values=past, use_cache=True)
            past, scores = out.past_key_values, out.logits[:, -1].float().cpu().numpy()
            for row in sorted(open_):
                written[row].append(asked[row].choose(scores[row], written[row]))
            open_ -= {row for row in open_ if written[row][-1] in style.ends}
            if not open_:
                break
            ids = torch.tensor([[text[-1]] for text in written], device=model.device)
            mask = torch.cat([mask, mask.new_ones(len(asked), 1)], 1)
    return [tokens[:-1] if tokens[-1] in style.ends else tokens for tokens in written]
