"""The generator's engines side by side on one core: tokens a second, time to the first token, many streams at once.

    python -m benchmarks.generator_speed            # 10.7M and 494M: 8 minutes on a quiet core
    python -m benchmarks.generator_speed 10.7M      # one of them: a minute
    python -m benchmarks.generator_speed --model DIR    # whole turns of a trained model, history kept and not
    python -m benchmarks.generator_speed --save docs/benchmarks/generator.json --page docs/benchmarks/generator.md

One core, one thread, engines in turn, so that other work slows all alike. Random weights in the geometry of a starter
(hidden 288, 6 layers, 6 heads, inner 768, vocabulary 8,192, untied) and of Qwen2.5-0.5B; a prompt of 256 tokens, then
64 or 32 new ones, greedy. Tokens a second are those after the first. CPU time of the process, as the machine may be
shared; wall time stands beside it. CTranslate2 takes part if it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.protocols import Prompt
from skills.decoder import Decoder, Limits, greedy
from skills.decoder_convert import Converted, converted
from skills.decoder_files import Weights, read_shape
from skills.encoder_samples import TEXTS
from skills.local_generator import GeneratorOptions, LocalGenerator, open_generator

SIZES: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    # name: transformers' class, new tokens, rounds, config
    "10.7M": (
        "Llama",
        64,
        9,
        {
            "vocab_size": 8192,
            "hidden_size": 288,
            "intermediate_size": 768,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "max_position_embeddings": 2048,
        },
    ),
    "494M": (
        "Qwen2",
        32,
        2,
        {
            "vocab_size": 151936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "tie_word_embeddings": True,
        },
    ),
}
PROMPT, HISTORY, FRESH, STREAMS = 256, 1000, 30, 16
Engine = Callable[[Sequence[int], int], list[int]]
"""Prompt and number of new tokens -> the new tokens."""


@dataclass
class Taken:
    """Milliseconds of each sample, CPU and wall."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @contextmanager
    def sample(self) -> Iterator[None]:
        """Measure what happens inside."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu.append((time.process_time() - cpu) * 1000)
        self.wall.append((time.perf_counter() - wall) * 1000)

    def figures(self) -> dict[str, float]:
        """Median and best CPU time, median wall time."""
        return {"cpu": float(np.median(self.cpu)), "best": min(self.cpu), "wall": float(np.median(self.wall))}


def main() -> None:
    """Measure; JSON, and the page if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="which geometries; all if not said")
    parser.add_argument("--model", help="measure whole turns of this model instead")
    parser.add_argument("--rounds", type=int, default=0, help="samples of each engine, if not the usual number")
    parser.add_argument("--work", type=Path, help="keep the random models here and use them again")
    parser.add_argument("--save", type=Path, help="keep the figures here, beside those of other sizes")
    parser.add_argument("--page", type=Path, help="write the tables here")
    arguments = parser.parse_args()
    one_core()
    results = json.loads(arguments.save.read_text()) if arguments.save and arguments.save.exists() else {}
    if arguments.model:
        results["turns"] = asyncio.run(turns(arguments.model, arguments.rounds or 25))
    for name in arguments.sizes or (() if arguments.model else SIZES):
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, (arguments.work or Path(folder)) / name, arguments.rounds)
    if arguments.save:
        arguments.save.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.page:
        arguments.page.write_text(page(results), encoding="utf-8")


def one_core() -> None:
    """Pin this process and torch to one core."""
    import torch

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def measure(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """All figures of one geometry."""
    kind, tokens, usual, config = SIZES[name]
    rounds = rounds or usual
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(kind, config, folder / "model")
    draws = np.random.default_rng(5)
    prompts = [draws.integers(3, config["vocab_size"], size).tolist() for size in (96,) * 8]
    shape, limits = read_shape(folder / "model"), Limits(places=STREAMS, room=HISTORY + 200)
    made: dict[str, Converted] = {}
    for precision in ("float32", "int8"):
        made[precision] = converted(
            Weights(folder / "model"), shape, prompts, precision, key=name, state=folder / "state"
        )
    print(f"{name}: converted, {made['int8'].agreement}", flush=True)
    decoders = {precision: Decoder(found.graph, shape, limits) for precision, found in made.items()}
    engines: dict[str, Engine] = {"transformers generate, float32": _transformers(model)}
    engines |= {f"ours, {precision}": _ours(decoder) for precision, decoder in decoders.items()}
    if importlib.util.find_spec("ctranslate2") is not None:
        engines["CTranslate2, int8"] = _ctranslate2(folder)
    prompt = draws.integers(3, config["vocab_size"], PROMPT).tolist()
    results = {"agreement": str(made["int8"].agreement), "speed": speed(engines, prompt, tokens, rounds)}
    for precision in ("float32", "int8") if rounds > 2 else ("int8",):
        results[f"history, {precision}"] = history(decoders[precision], draws, rounds + 1)
        results[f"streams, {precision}"] = streams(decoders[precision], draws, tokens // 2)
    return results


def random_model(kind: str, config: dict[str, Any], folder: Path) -> Any:
    """A model of random weights, saved in bfloat16 and held in float32."""
    import torch
    import transformers

    torch.manual_seed(0)
    settings = getattr(transformers, f"{kind}Config")(**config, bos_token_id=None, eos_token_id=None)
    made: Any = getattr(transformers, f"{kind}ForCausalLM")
    if not folder.exists():
        made(settings).to(torch.bfloat16).save_pretrained(folder)
    return made.from_pretrained(folder, dtype=torch.float32).eval()


def _transformers(model: Any) -> Engine:
    import torch

    def write(prompt: Sequence[int], tokens: int) -> list[int]:
        with torch.inference_mode():
            found = model.generate(
                torch.tensor([prompt]), max_new_tokens=tokens, do_sample=False, pad_token_id=0, eos_token_id=None
            )
        return [int(token) for token in found[0, len(prompt) :]]

    return write


def _ours(decoder: Decoder) -> Engine:
    def write(prompt: Sequence[int], tokens: int) -> list[int]:
        text = decoder.open(prompt, greedy, 0)
        while len(text.written) < tokens:
            decoder.step()
        decoder.close(text)
        decoder.forget()
        return text.written

    return write


def _ctranslate2(folder: Path) -> Engine:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    size = json.loads((folder / "model" / "config.json").read_text())["vocab_size"]
    words = Tokenizer(models.WordLevel({f"t{number}": number for number in range(size)}, "t0"))
    marks = {"unk_token": "t0", "bos_token": "t1", "eos_token": "t2"}
    PreTrainedTokenizerFast(tokenizer_object=words, **marks).save_pretrained(folder / "model")
    TransformersConverter(str(folder / "model")).convert(str(folder / "ct2"), quantization="int8", force=True)
    generator = ctranslate2.Generator(str(folder / "ct2"), compute_type="int8", intra_threads=1, inter_threads=1)

    def write(prompt: Sequence[int], tokens: int) -> list[int]:
        found = generator.generate_batch(
            [[f"t{token}" for token in prompt]],
            max_length=tokens,
            min_length=tokens,
            beam_size=1,
            include_prompt_in_result=False,
            end_token=[],
        )
        return list(found[0].sequences_ids[0])

    return write


def speed(engines: dict[str, Engine], prompt: Sequence[int], tokens: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Engine -> milliseconds to the first token, tokens a second after it, ratio, whether the tokens are the same."""
    first = {name: Taken() for name in engines}
    all_ = {name: Taken() for name in engines}
    written = {}
    for _ in range(rounds):
        for name, engine in engines.items():
            engine(prompt[:16], 2)  # warm again after the others
            with first[name].sample():
                engine(prompt, 1)
            with all_[name].sample():
                written[name] = engine(prompt, tokens)
    found: dict[str, dict[str, Any]] = {}
    base = next(iter(engines))
    for name in engines:
        whole, begun = all_[name].figures(), first[name].figures()
        rates = {how: (tokens - 1) * 1000 / (whole[how] - begun[how]) for how in ("cpu", "wall")}
        found[name] = {
            "first_ms": begun["cpu"],
            "rate": rates["cpu"],
            "rate_wall": rates["wall"],
            "ratio": rates["cpu"] / found[base]["rate"] if found else 1.0,
            "same": sum(a == b for a, b in zip(written[name], written[base], strict=True)),
            "of": tokens,
        }
        print(name, {key: round(value, 2) for key, value in found[name].items()}, flush=True)
    return found


def history(decoder: Decoder, draws: np.random.Generator, rounds: int) -> dict[str, float]:
    """Milliseconds to the first token after a history that is kept, and after reading all again."""
    kept, again = Taken(), Taken()
    top = decoder._shape.vocabulary
    for _ in range(rounds):
        past = draws.integers(3, top, HISTORY).tolist()
        text = decoder.open(past, greedy, HISTORY)
        while not text.written:
            decoder.step()
        decoder.close(text)
        for taken, stable in ((kept, HISTORY), (again, 0)):
            prompt = past + draws.integers(3, top, FRESH).tolist()
            with taken.sample():
                text = decoder.open(prompt, greedy, stable)
                while not text.written:
                    decoder.step()
            decoder.close(text)
            decoder.forget()
    one, two = kept.figures(), again.figures()
    found = {
        "kept_ms": one["cpu"],
        "kept_wall_ms": one["wall"],
        "again_ms": two["cpu"],
        "ratio": two["cpu"] / one["cpu"],
    }
    print("history", {key: round(value, 2) for key, value in found.items()}, flush=True)
    return found


def streams(decoder: Decoder, draws: np.random.Generator, tokens: int) -> dict[str, float]:
    """Tokens a second of one text and of many at once, prompts of 64 tokens not counted."""
    rates = {}
    top = decoder._shape.vocabulary
    for count in (1, STREAMS) * 2:
        texts = [decoder.open(draws.integers(3, top, 64).tolist(), greedy, 0) for _ in range(count)]
        while not all(text.written for text in texts):
            decoder.step()
        before, taken = sum(len(text.written) for text in texts), Taken()
        with taken.sample():
            for _ in range(tokens):
                decoder.step()
        rate = (sum(len(text.written) for text in texts) - before) * 1000 / taken.cpu[0]
        rates[count] = max(rates.get(count, 0.0), rate)
        for text in texts:
            decoder.close(text)
        decoder.forget()
    found = {"one": rates[1], "many": rates[STREAMS], "ratio": rates[STREAMS] / rates[1]}
    print("streams", {key: round(value, 1) for key, value in found.items()}, flush=True)
    return found


async def turns(model: str, rounds: int) -> dict[str, Any]:
    """Whole turns as a bot has them, from prompt to text: template, constraints, streaming. Milliseconds to the first
    piece and to the end of 24 tokens, with the talk kept and with nothing kept; tokens a second of one and of many."""
    taken = {name: Taken() for name in ("first, kept", "whole, kept", "first, again", "whole, again")}
    with tempfile.TemporaryDirectory() as state:
        generator = open_generator(model, None, GeneratorOptions(Path(state)))
        for number in range(rounds):
            talk = long_talk(generator, number)
            await _whole(generator, _asked(talk, number))
            later = _asked((*talk, ("bot", TEXTS[number % 40]), ("user", TEXTS[number % 37])), number + 1)
            for how in ("kept", "again"):
                if how == "again":
                    await generator.forget()
                with taken[f"whole, {how}"].sample():
                    with taken[f"first, {how}"].sample():
                        pieces = generator.write(later)
                        await anext(pieces)
                    async for _ in pieces:
                        pass
        rates = {1: 0.0, STREAMS: 0.0}
        for count in (1, STREAMS) * 2:
            asked = [_asked((("user", TEXTS[number]),), number) for number in range(count)]
            before, sample = generator.tokens[2], Taken()
            with sample.sample():
                await asyncio.gather(*(_whole(generator, prompt) for prompt in asked))
            rates[count] = max(rates[count], (generator.tokens[2] - before) * 1000 / sample.cpu[0])
        name, agreement = generator.id, str(generator.agreement)
        await generator.close()
    found = {name: sample.figures() for name, sample in taken.items()}
    return {"id": name, "agreement": agreement, **found, "one": rates[1], "many": rates[STREAMS]}


def long_talk(generator: LocalGenerator, number: int) -> tuple[tuple[str, str], ...]:
    """A talk of about a thousand tokens, another one for each number."""
    talk: tuple[tuple[str, str], ...] = (("user", f"my number is {number + 100}"),)
    while generator.form.reading(_asked(talk, 0), 1 << 30).stable < HISTORY:
        place = len(talk) * 7 + number
        talk = (*talk, ("bot", TEXTS[place % len(TEXTS)] * 3), ("user", TEXTS[(place + 3) % len(TEXTS)]))
    return talk


def _asked(talk: tuple[tuple[str, str], ...], number: int) -> Prompt:
    passages = (TEXTS[35], TEXTS[36], TEXTS[number % 30])
    return Prompt(talk=talk, passages=passages, approved=TEXTS[number % 25], max_tokens=24)


async def _whole(generator: LocalGenerator, prompt: Prompt) -> str:
    return "".join([piece.text async for piece in generator.write(prompt)])


def page(results: dict[str, Any]) -> str:
    """The tables."""
    cpu = next(
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    lines = [
        "# Speed of the generator's engines",
        "",
        f"`python -m benchmarks.generator_speed`, {datetime.now(UTC):%Y-%m-%d}, {cpu}, one pinned core, one thread, "
        f"Python {platform.python_version()}.",
        *(__doc__ or "").split("\n\n")[2].split("\n"),
    ]
    if "turns" in results:
        lines += turns_page(results.pop("turns"))
    for name, found in results.items():
        lines += ["", f"## {name}", "", "| engine | first token, ms | tokens/s | by wall | ratio | same tokens |"]
        lines.append("| --- | --- | --- | --- | --- | --- |")
        for engine, row in found["speed"].items():
            rates = f"{row['rate']:.1f} | {row['rate_wall']:.1f} | {row['ratio']:.1f} ×"
            lines.append(f"| {engine} | {row['first_ms']:.0f} | {rates} | {row['same']} of {row['of']} |")
        lines += ["", f"Eight bits beside 32: {found['agreement']}.", ""]
        lines += [f"| ours | first token, {HISTORY} kept + {FRESH} new, ms | by wall | read again, ms | ratio |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for precision in [key.split(", ")[1] for key in found if key.startswith("history")]:
            row = found[f"history, {precision}"]
            kept = f"{row['kept_ms']:.1f} | {row['kept_wall_ms']:.1f}"
            lines.append(f"| {precision} | {kept} | {row['again_ms']:.0f} | {row['ratio']:.1f} × |")
        lines += [
            "",
            f"| ours | one stream, tokens/s | {STREAMS} streams, tokens/s | ratio |",
            "| --- | --- | --- | --- |",
        ]
        for precision in [key.split(", ")[1] for key in found if key.startswith("streams")]:
            row = found[f"streams, {precision}"]
            lines.append(f"| {precision} | {row['one']:.0f} | {row['many']:.0f} | {row['ratio']:.1f} × |")
    return "\n".join(lines) + "\n"


def turns_page(found: dict[str, Any]) -> list[str]:
    """The table of whole turns."""
    lines = ["", "## Whole turns of a trained model", "", f"`--model`, {found['id']}; {found['agreement']}.", ""]
    lines += ["| history of 1,000 tokens | first piece, CPU ms | by wall | 24 tokens, CPU ms | by wall |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for how in ("kept", "again"):
        cells = [f"{found[f'{part}, {how}'][kind]:.0f}" for part in ("first", "whole") for kind in ("cpu", "wall")]
        lines.append(f"| {how} | {' | '.join(cells)} |")
    rate = found["many"] / found["one"]
    return [
        *lines,
        "",
        f"Tokens a second, prompts read: one {found['one']:.0f}, {STREAMS} {found['many']:.0f}, {rate:.1f} ×.",
    ]


if __name__ == "__main__":
    main()
