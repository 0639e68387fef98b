"""The recogniser beside openai-whisper and faster-whisper: the same words, and how long they take, on one core.

    python -m benchmarks.recognition                       # speed on tiny and base: 6 minutes on a quiet core
    python -m benchmarks.recognition speed tiny            # one of them
    python -m benchmarks.recognition same CHECKPOINT       # 100 recordings: the texts of openai-whisper: 5 minutes
    python -m benchmarks.recognition --page FILE [speed|same ...]

Speed: random weights in the geometry of tiny and base, an utterance of 3 s, greedy, exactly 32 tokens without times;
sound to tokens, log-mel included; engines in turn, utterance by utterance, so that other work slows all alike. CPU time
of the process; wall time stands beside it. openai-whisper and faster-whisper always encode 30 s. faster-whisper (its
log-mel, its encoder call, the engine below it) and CTranslate2 at a short context take part if they are installed:
`pip install faster-whisper`.

Same: each recording of the data folder, filled up to a window, greedy, float32, without times and with them; what
counts is every token. A checkpoint with a smaller vocabulary than openai-whisper's is read by its decoding too, with
the tokens that belong to it.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import platform
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.speech import Utterance
from skills.speech import SpeechOptions, Whisper, open_recogniser
from skills.speech_agreement import made_up
from skills.speech_guard import Bounds
from skills.speech_tokens import SpeechTokens

Floats = npt.NDArray[np.float32]
DATA = Path(os.environ.get("UNDERSTUDY_DATA", "../shared/data"))
SIZES = {"tiny": (384, 6, 4), "base": (512, 8, 6)}
ROUNDS = {"tiny": 9, "base": 7}
TOKENS = 32
ALL = Bounds(quiet=-400, even=-1, compression=1e9, doubt=-1e9, nobody=2, surely_nobody=2)
EXACT = SpeechOptions(precision="float32", context="full", temperatures=(0.0,), words=False, bounds=ALL)
SETS = ("sentences.dev", "speechocean762.dev", "fsdd.dev", "picovoice_barista.dev")


def recordings(count: int) -> list[Floats]:
    """Recordings of the data folder, in a fixed order."""
    import soundfile

    found = []
    for name in SETS:
        rows = [json.loads(line) for line in (DATA / "speech" / f"{name}.jsonl").read_text("utf-8").splitlines()]
        with zipfile.ZipFile(DATA / "speech" / f"{name}.zip") as archive:
            found += [soundfile.read(io.BytesIO(archive.read(row["path"])), dtype="float32")[0] for row in rows]
    return found[:count]


def peer_tokens(tokens: SpeechTokens) -> Callable[..., Any]:
    """openai-whisper's tokenizer over the tokens of a model."""
    from whisper.tokenizer import Tokenizer

    def get(multilingual: bool, **options: Any) -> Any:
        known = {"language": options.get("language"), "task": options.get("task")} if multilingual else {}
        return Tokenizer(encoding=tokens.encoding, num_languages=options["num_languages"], **known)

    return get


def same(checkpoint: str, count: int, state: Path) -> list[str]:
    """Rows of how many texts are the same."""
    import torch
    import whisper
    import whisper.decoding

    torch.set_num_threads(1)
    model, clips = whisper.load_model(checkpoint, device="cpu"), recordings(count)
    ours = open_recogniser(checkpoint, replace(EXACT, state=state))
    if ours.files.shape.n_vocab < 51_864:
        whisper.decoding.get_tokenizer = peer_tokens(ours.tokens)  # type: ignore[assignment]
    room = round(ours.files.shape.seconds * 16_000)
    lines = [
        f"`{Path(checkpoint).name}`, sha256 {ours.files.digest[:16]}",
        "",
        "| | same texts | words |",
        "| --- | --- | --- |",
    ]
    for times in (False, True):
        ear, equal, words = ours.with_options(replace(ours.options, times=times)), 0, 0
        options = whisper.DecodingOptions(language="en", fp16=False, without_timestamps=not times)
        for n, clip in enumerate(clips):
            mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(clip, room), model.dims.n_mels)
            theirs = whisper.decode(model, mel, options)
            tokens = _tokens(ear, clip[:room])
            words += len(theirs.text.split())
            equal += tokens == theirs.tokens
            if tokens != theirs.tokens:
                print(f"clip {n}: {ear.tokens.decode(tokens)!r}, openai-whisper {theirs.text!r}", flush=True)
        lines.append(f"| {'with' if times else 'without'} times | {equal} of {len(clips)} | {words} |")
    return lines


def _tokens(ear: Whisper, clip: Floats) -> list[int]:
    windows = ear._windows(0, clip, Utterance(clip, "en"))
    ear._hear(windows)
    return list(windows[0].draft.tokens)


def random_checkpoint(size: str, folder: Path) -> Path:
    """Random weights of a published geometry, as openai-whisper writes its checkpoints."""
    import torch
    from whisper.model import ModelDimensions
    from whisper.model import Whisper as Model

    torch.manual_seed(0)
    width, heads, layers = SIZES[size]
    model = Model(ModelDimensions(80, 1500, width, heads, layers, 51_865, 448, width, heads, layers))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.1)
    path = folder / f"{size}.pt"
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, path)
    return path


def openai_engine(path: Path) -> Callable[[Floats], int]:
    """openai-whisper as it comes."""
    import torch
    import whisper

    torch.set_num_threads(1)
    model = whisper.load_model(str(path), device="cpu")
    options = whisper.DecodingOptions(language="en", fp16=False, without_timestamps=True, sample_len=TOKENS)

    def run(sound: Floats) -> int:
        return len(whisper.decode(model, whisper.log_mel_spectrogram(whisper.pad_or_trim(sound)), options).tokens)

    return run


def our_engine(path: Path, options: SpeechOptions) -> Callable[[Floats], int]:
    """The recogniser, to 32 tokens."""
    ear = open_recogniser(str(path), options)
    plain = ear._task

    def task(window: Any, *, searching: bool) -> Any:
        return replace(plain(window, searching=searching), most=TOKENS)

    ear._task = task  # type: ignore[method-assign]
    return lambda sound: len(_tokens(ear, sound))


def faster_engines(path: Path, folder: Path) -> Iterator[tuple[str, Callable[[Floats], int]]]:
    """faster-whisper int8, and what it runs on, CTranslate2, with a log-mel of 3.5 s."""
    from faster_whisper import WhisperModel

    _ctranslate2(path, folder)
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    prompt = [50258, 50259, 50359, 50363]
    options = {"beam_size": 1, "max_length": 2 * TOKENS, "suppress_tokens": [50257, 50362]}

    def run(sound: Floats) -> int:
        mel = np.pad(model.feature_extractor(sound), ((0, 0), (0, 3000)))[:, :3000]
        found = model.model.generate(model.encode(mel.astype(np.float32)), [prompt], **options)
        return len(found[0].sequences_ids[0])

    yield "faster-whisper int8", run

    def short(sound: Floats) -> int:
        mel = model.feature_extractor(np.pad(sound, (0, 8000)), padding=0)[:, :350]
        found = model.model.generate(model.encode(mel.astype(np.float32)), [prompt], **options)
        return len(found[0].sequences_ids[0])

    yield "CTranslate2 int8, 3.5 s", short


def _ctranslate2(path: Path, folder: Path) -> None:
    """A checkpoint in CTranslate2's format. The words are made up: only their numbers count here."""
    import tokenizers
    import torch
    from ctranslate2.specs.whisper_spec import WhisperSpec

    found = torch.load(path, weights_only=True)
    dims, state = found["dims"], {name: value.numpy() for name, value in found["model_state_dict"].items()}
    spec = WhisperSpec(dims["n_audio_layer"], dims["n_audio_head"], dims["n_text_layer"], dims["n_text_head"])
    for part, layers in (("encoder", spec.encoder.layer), ("decoder", spec.decoder.layer)):
        for n, layer in enumerate(layers):
            _ctranslate2_layer(state, f"{part}.blocks.{n}", layer, cross=part == "decoder")
    for n in (1, 2):
        conv = getattr(spec.encoder, f"conv{n}")
        conv.weight, conv.bias = state[f"encoder.conv{n}.weight"], state[f"encoder.conv{n}.bias"]
    spec.encoder.position_encodings.encodings = state["encoder.positional_embedding"]
    spec.decoder.position_encodings.encodings = state["decoder.positional_embedding"]
    _norm(state, "encoder.ln_post", spec.encoder.layer_norm)
    _norm(state, "decoder.ln", spec.decoder.layer_norm)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = state["decoder.token_embedding.weight"]
    from whisper.tokenizer import get_tokenizer

    special = {number: name for name, number in get_tokenizer(True).special_tokens.items()}
    names = [special.get(n, f"t{n}") for n in range(dims["n_vocab"])]
    spec.register_vocabulary(names)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids, spec.config.alignment_heads = list(range(50259, 50358)), [[0, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))
    words = tokenizers.models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="t0")
    tokenizers.Tokenizer(words).save(str(folder / "tokenizer.json"))


def _norm(state: dict[str, Any], name: str, spec: Any) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _ctranslate2_layer(state: dict[str, Any], name: str, layer: Any, *, cross: bool) -> None:
    def joined(attention: str, parts: tuple[str, ...]) -> tuple[Any, Any]:
        weights = [state[f"{name}.{attention}.{part}.weight"] for part in parts]
        biases = [state.get(f"{name}.{attention}.{part}.bias", np.zeros(len(weights[0]), np.float32)) for part in parts]
        return np.concatenate(weights), np.concatenate(biases)

    kinds = [("attn", layer.self_attention, (("query", "key", "value"), ("out",)))]
    if cross:
        kinds.append(("cross_attn", layer.attention, (("query",), ("key", "value"), ("out",))))
    for attention, spec, groups in kinds:
        _norm(state, f"{name}.{attention}_ln", spec.layer_norm)
        for linear, parts in zip(spec.linear, groups, strict=False):
            linear.weight, linear.bias = joined(attention, parts)
    _norm(state, f"{name}.mlp_ln", layer.ffn.layer_norm)
    for linear, n in ((layer.ffn.linear_0, 0), (layer.ffn.linear_1, 2)):
        linear.weight, linear.bias = state[f"{name}.mlp.{n}.weight"], state[f"{name}.mlp.{n}.bias"]


def speed(size: str, folder: Path, rounds: int = 0) -> list[str]:
    """Rows of one geometry: CPU and wall milliseconds of one utterance, median and best, and the ratio to the first."""
    path, sound = random_checkpoint(size, folder), made_up(1)
    short = replace(EXACT, context="short", state=folder / "ours")
    engines = {"openai-whisper float32": openai_engine(path)}
    if importlib.util.find_spec("faster_whisper"):
        engines |= dict(faster_engines(path, folder / f"{size}-ct2"))
    engines["ours float32, 30 s"] = our_engine(path, replace(short, context="full"))
    engines["ours float32"] = our_engine(path, short)
    engines["ours int8"] = our_engine(path, replace(short, precision="int8"))
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for n in range((rounds or ROUNDS[size]) + 1):
        for name, run in engines.items():
            cpu, wall = time.process_time(), time.perf_counter()
            count = run(sound)
            if count != TOKENS:
                raise SystemExit(f"{name} wrote {count} tokens, not {TOKENS}")
            if n:  # the first one warms up
                spent[name].append((1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)))
    first = statistics.median(cpu for cpu, _ in next(iter(spent.values())))
    lines = [f"### {size}", "", "| engine | CPU ms, median (best) | wall ms | share |", "| --- | --- | --- | --- |"]
    for name, pairs in spent.items():
        cpu, wall = (statistics.median(values) for values in zip(*pairs, strict=True))
        best = min(cpu for cpu, _ in pairs)
        lines.append(f"| {name} | {cpu:.0f} ({best:.0f}) | {wall:.0f} | {cpu / first:.2f} |")
    return lines


def main() -> None:
    """Measure what is asked for, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("speed", "same"), default="speed")
    parser.add_argument("which", nargs="*", help="sizes, or a checkpoint")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=0, help="utterances of each engine; default 9 and 7")
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        if chosen.what == "same":
            for checkpoint in chosen.which:
                lines += [*same(checkpoint, chosen.clips, Path(temporary)), ""]
        else:
            for size in chosen.which or SIZES:
                lines += [*speed(size, Path(temporary), chosen.rounds), ""]
    head = (
        f"`{chosen.what}`, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, one core, load {os.getloadavg()[0]:.0f}"
    )
    text = "\n".join([head, "", *lines])
    print(text)
    if chosen.page:
        before = chosen.page.read_text("utf-8") if chosen.page.exists() else "# The recogniser\n"
        chosen.page.write_text(f"{before.rstrip()}\n\n## {text}\n", "utf-8")


if __name__ == "__main__":
    main()
