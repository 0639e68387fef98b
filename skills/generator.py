"""Wording by a causal language model of the transformers library; no bot speaks through it before its gate passes.

Any model that `AutoModelForCausalLM` loads from a folder, or from the Hugging Face hub at a pinned commit, with its
tokenizer's own chat template; weights are safetensors, code from a repository is never run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.core.errors import InputError, NotFound
from bot.core.protocols import Piece, Prompt

if TYPE_CHECKING:
    import torch


class CausalGenerator:
    """A loaded model. `run` and `stream` may be called from one thread at a time."""

    name = "generator"

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls, source: str, revision: str | None = None) -> CausalGenerator:
        """Load from a folder, or from a repository at a commit.

        Raises:
            InputError: a repository without a commit to pin it to.
            NotFound: there is no such model here or on the hub.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        local = Path(source).is_dir()
        if not local and revision is None:
            raise InputError(f"generator {source!r}: expected a folder or a repository with `revision` (a commit)")
        options: dict[str, Any] = {"revision": revision, "trust_remote_code": False, "local_files_only": local}
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            model = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, **options)
        except (OSError, ValueError) as error:
            raise NotFound(f"generator {source!r} cannot be loaded: {error}") from error
        return cls(model, tokenizer)

    def run(self, batch: Sequence[Prompt]) -> list[str]:
        """One text per prompt; the same prompt and seed give the same text."""
        return ["".join(piece.text for piece in self.stream(item)) for item in batch]

    def stream(self, item: Prompt) -> Iterator[Piece]:
        """The text of a prompt, piece by piece. Closing the iterator stops the model after the token it is at."""
        from transformers import TextIteratorStreamer

        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        cancelled = threading.Event()
        options = self._options(item, cancelled)
        work = threading.Thread(target=self._generate, args=(item, streamer, options), daemon=True)
        work.start()
        try:
            yield from _until_stop(iter(streamer), item.stop)
        finally:
            cancelled.set()
            work.join()

    def _generate(self, item: Prompt, streamer: Any, options: dict[str, Any]) -> None:
        import torch

        try:
            with torch.random.fork_rng(devices=[]), torch.inference_mode():
                torch.manual_seed(item.seed)
                self._model.generate(**self._encoded(item), streamer=streamer, **options)
        finally:
            streamer.end()

    def _options(self, item: Prompt, cancelled: threading.Event) -> dict[str, Any]:
        from transformers import StoppingCriteriaList

        def stop(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            import torch

            return torch.full((ids.shape[0],), cancelled.is_set(), dtype=torch.bool)

        sampling = (
            {"do_sample": True, "temperature": item.temperature} if item.temperature > 0 else {"do_sample": False}
        )
        pad = self._tokenizer.pad_token_id
        return {
            "max_new_tokens": item.max_tokens,
            "pad_token_id": self._tokenizer.eos_token_id if pad is None else pad,
            "stopping_criteria": StoppingCriteriaList([stop]),
            **sampling,
        }

    def _encoded(self, item: Prompt) -> Any:
        """The prompt as token ids: passages first, as a system message, by the tokenizer's template if it has one."""
        roles = {"user": "user", "bot": "assistant"}
        messages = [{"role": roles[speaker], "content": text} for speaker, text in item.talk]
        if item.passages:
            known = "Answer only from these passages:\n" + "\n".join(item.passages)
            messages.insert(0, {"role": "system", "content": known})
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        text = "\n".join(f"{message['role']}: {message['content']}" for message in messages) + "\nassistant:"
        return self._tokenizer(text, return_tensors="pt")


def _until_stop(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[Piece]:
    """Pass pieces on up to the first stop sequence, holding back what may be the beginning of one."""
    held, longest = "", max(map(len, stops), default=1) - 1
    for piece in pieces:
        held += piece
        ends = [position for stop in stops if (position := held.find(stop)) >= 0]
        if ends:
            held = held[: min(ends)]
            break
        if len(held) > longest:
            ready, held = held[: len(held) - longest], held[len(held) - longest :]
            yield Piece(ready)
    yield Piece(held, done=True)
