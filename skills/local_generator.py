"""A generator in this process: a model's folder, our engine on it, and the format that the model was trained for.

`open_generator` finds everything that is wrong with a folder before the bot takes its first message. The model's own
files are never changed; what is made of them is kept in the bot's state folder (`skills.decoder_convert`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.errors import InputError, IntegrityError, NotFound, SkillError
from bot.core.protocols import Piece, Prompt
from skills.decoder import Choose, Decoder, Limits, greedy, sampled
from skills.decoder_convert import Agreement, Converted, Precision, converted, memory_to_serve, require_memory
from skills.decoder_files import Weights, file_digests, find_folder, read_json, read_shape
from skills.decoder_shape import DecoderShape
from skills.encoder_samples import TEXTS
from skills.generator_formats import Format, find_format
from skills.remote_text import Leaked
from skills.writer import Order, Writer

NAME = "generator"
_TOP_P = 0.95
"""Where generation_config.json does not say how much of the odds is drawn from."""
_ANY = 1 << 30
"""Room for a prompt of any length."""
_PADDING = 1024
"""Rows by which an embedding may exceed its tokens: they are rounded up to what runs quickly."""


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """How a model is opened.

    `state`: the folder for converted files; `precision`: "auto" takes eight bits if they agree with 32 on `samples`,
    which also set their ranges (prompts like those to come; plain ones of ours if there are none); `digests`: the
    sha256 of files by name, checked.
    """

    state: Path
    precision: Precision = "auto"
    limits: Limits = field(default_factory=Limits)
    digests: Mapping[str, str] = field(default_factory=dict)
    samples: Sequence[Prompt] = ()


class LocalGenerator:
    """A `Generator` over a loaded model. Used from one event loop; close it at the end."""

    def __init__(self, name: str, decoder: Decoder, tokenizer: Any, form: Format, top_p: float = _TOP_P) -> None:
        self.id, self.form = name, form
        self.agreement: Agreement | None = None
        self._decoder, self._writer = decoder, Writer(decoder)
        self._tokenizer, self._top_p = tokenizer, top_p

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Tokens since the start: of prompts read, of prompts known from earlier turns, and written."""
        return self._decoder.read, self._decoder.recalled, self._decoder.written

    async def forget(self) -> None:
        """Keep nothing of earlier turns, once the texts under way have ended."""
        await self._writer.forget()

    async def close(self) -> None:
        """End the texts under way."""
        await self._writer.close()

    async def write(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """The text of a prompt, piece by piece. Closing the generator stops the work at its next token.

        Raises:
            SkillError: the model failed, showed its instructions, or the prompt does not fit.
        """
        from tokenizers.decoders import DecodeStream

        reading = self.form.reading(prompt, self._decoder.room)
        order = Order(
            reading.ids, reading.constrained(self._choice(prompt)), prompt.max_tokens, self.form.ends, reading.stable
        )
        # It keeps back a character of which not all bytes are there.
        stream, held = DecodeStream(skip_special_tokens=not self.form.special), reading.held
        try:
            async with aclosing(self._writer.stream(order)) as tokens:
                async for token in tokens:
                    text = stream.step(self._tokenizer, token)
                    if text and (ready := held.take(reading.shown(text))):
                        yield Piece(ready)
                    if held.ended:
                        break
            last = held.take(None)
        except Leaked as error:
            raise SkillError(NAME, "the model wrote what it must not show of its instructions") from error
        except KeyError as error:
            raise SkillError(NAME, f"the model wrote {error}, which stands for nothing") from error
        yield Piece(last, done=True, abstained=held.abstained)

    def _choice(self, prompt: Prompt) -> Choose:
        return sampled(prompt.temperature, self._top_p, prompt.seed) if prompt.temperature > 0 else greedy


def open_generator(source: str, revision: str | None, options: GeneratorOptions) -> LocalGenerator:
    """The generator of a folder, or of a repository of the Hugging Face hub at a commit. Slow the first time.

    Raises:
        NotFound: a file is missing; names it.
        IntegrityError: a file is damaged, not the expected one, or the model gives no numbers.
        InputError: the model cannot be run: its kind, its size, its tokenizer or template; says what to do.
        StorageUnavailable: the converted files cannot be written.
    """
    folder = find_folder(source, revision)
    shape = read_shape(folder)
    digests = file_digests(folder, options.digests)
    digest = hashlib.sha256("\n".join(f"{name} {digests[name]}" for name in sorted(digests)).encode()).hexdigest()
    tokenizer = load_tokenizer(folder, options.state / f"tokenizer-{digest[:24]}.json")
    _require_match(folder, tokenizer, shape)
    form = find_format(folder, tokenizer)
    made = _converted(folder, shape, form, digest, options)
    require_memory(memory_to_serve(shape, options.limits, made.precision), "to serve it")
    decoder = Decoder(made.graph, shape, options.limits)
    _try(folder, decoder)
    path = folder / "generation_config.json"
    top_p = (read_json(path) if path.is_file() else {}).get("top_p") or _TOP_P
    found = LocalGenerator(f"{Path(source).name}@{digest[:12]}-{made.precision}", decoder, tokenizer, form, top_p)
    found.agreement = made.agreement
    return found


def _converted(folder: Path, shape: DecoderShape, form: Format, digest: str, options: GeneratorOptions) -> Converted:
    samples: list[Sequence[int]] = []
    if options.precision != "float32":
        prompts = options.samples or plain_prompts()
        samples = [form.reading(prompt, _ANY).ids[: shape.length // 2] for prompt in prompts]
    return converted(Weights(folder), shape, samples, options.precision, key=digest, state=options.state)


def plain_prompts() -> list[Prompt]:
    """Prompts from texts that people write, in several languages: for ranges, and for trying eight bits."""
    step = 4
    return [
        Prompt(
            talk=(("user", first), ("bot", second), ("user", third)),
            passages=(fourth, TEXTS[n]),
            approved=first if n % 2 else "",
            max_tokens=1,
        )
        for n, (first, second, third, fourth) in enumerate(
            tuple(TEXTS[start : start + step]) for start in range(0, len(TEXTS) - step + 1, step)
        )
    ]


def load_tokenizer(folder: Path, kept: Path) -> Any:
    """A folder's tokenizer. One without tokenizer.json is turned into one by the transformers library, once: `kept`.

    Raises:
        NotFound: there is none.
        IntegrityError: it cannot be read.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        path = kept
    if not path.is_file():
        _make_tokenizer(folder, path)
    if "model" not in read_json(path):
        raise IntegrityError(str(path), "is no tokenizer; copy it again")
    return Tokenizer.from_file(str(path))


def _make_tokenizer(folder: Path, target: Path) -> None:
    if not (folder / "tokenizer_config.json").is_file():
        raise NotFound(f"{folder / 'tokenizer.json'} is missing; save the tokenizer with save_pretrained")
    import transformers

    # By its name, as `AutoTokenizer` would load torch.
    name = read_json(folder / "tokenizer_config.json").get("tokenizer_class", "")
    kind: Any = getattr(transformers, name, None) if name.removesuffix("Fast").endswith("Tokenizer") else None
    if kind is None:
        raise InputError(f"{folder}: no tokenizer.json, and transformers knows no tokenizer {name!r}")
    try:
        made = kind.from_pretrained(folder, local_files_only=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        made.backend_tokenizer.save(str(target))
    except (OSError, ValueError, ImportError, AttributeError) as error:
        raise InputError(f"{folder}: its tokenizer cannot be turned into a tokenizer.json: {error}") from error


def _require_match(folder: Path, tokenizer: Any, shape: DecoderShape) -> None:
    tokens = max(tokenizer.get_vocab().values()) + 1
    if not tokens <= shape.vocabulary <= tokens + _PADDING:
        raise InputError(
            f"{folder}: the tokenizer has {tokens} tokens, the model's embedding {shape.vocabulary} rows; they are not "
            "of one model"
        )


def _try(folder: Path, decoder: Decoder) -> None:
    text = decoder.open([0, 1, 2], greedy, 0)
    decoder.step()
    broken = text.broken
    decoder.close(text)
    if broken:
        raise IntegrityError(str(folder), "the model's output is no number; copy its weights again or train it anew")
