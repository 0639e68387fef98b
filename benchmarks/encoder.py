"""The encoder's engines side by side: CPU time per text, closeness to float32, start and memory.

    python -m benchmarks.encoder                  # the tables of docs/benchmarks/encoder.md
    python -m benchmarks.encoder --quick          # without fidelity and start

Engines take turns call by call, so that other work on the machine slows all of them alike: read ratios. CPU time of
the process, one thread, from text to unit vector, tokenising and pooling included; best and median. Fidelity needs
UNDERSTUDY_DATA/intents/banking77; "decisions" are those of a logistic regression trained on float32 vectors. An engine
whose package is not installed is left out (CTranslate2 gives no inner layers, so it is here for comparison only).
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skills.encoder import Encoder, EncoderSettings
from training.data import read_intents

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
Floats = npt.NDArray[np.float32]
Engine = Callable[[Sequence[str]], Floats]
SHORT = "where is the blue kettle that i ordered from you last week"
CASES = {
    "12 words, 1": ([SHORT], 60),
    "12 words, 32": ([SHORT] * 32, 8),
    "128 tokens, 1": ([" ".join([SHORT] * 12)], 16),
}
START = {
    "sentence-transformers": "from sentence_transformers import SentenceTransformer as S\n"
    "S(sys.argv[1], device='cpu').encode(['hi'])",
    "ours, int8": "from skills.encoder import Encoder\nEncoder.load().vectors(['hi'])",
}


def main(arguments: Sequence[str]) -> int:
    """Measure; tables, then JSON."""
    engines = load_engines()
    results: dict[str, object] = {"machine": platform.processor() or platform.machine(), "speed": speed(engines)}
    if "--quick" not in arguments:
        results |= {"fidelity": fidelity(engines), "start": start()}
    print(json.dumps(results, indent=1))
    return 0


def load_engines() -> dict[str, Engine]:
    """Name -> texts to unit vectors, on one thread."""
    import torch

    torch.set_num_threads(1)
    ours = {name: Encoder.load(settings=EncoderSettings(precision=name)) for name in ("float32", "int8")}
    engines: dict[str, Engine] = {"sentence-transformers": _stock(ours["int8"].files.root)}
    engines |= {f"ours, {name}": encoder.vectors for name, encoder in ours.items()}
    if importlib.util.find_spec("ctranslate2") is not None:
        engines["CTranslate2 int8"] = _ctranslate2(ours["int8"])
    return engines


def _stock(folder: Path) -> Engine:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    return lambda texts: np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False))


def _ctranslate2(encoder: Encoder) -> Engine:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    folder = tempfile.mkdtemp()
    TransformersConverter(str(encoder.files.root)).convert(folder, quantization="int8", force=True)
    model = ctranslate2.Encoder(folder, compute_type="int8", intra_threads=1, inter_threads=1)

    def run(texts: Sequence[str]) -> Floats:
        ids = [encoder._tokens(text).ids for text in texts]
        states = np.array(model.forward_batch(ids).last_hidden_state)
        sums = np.stack([state[: len(row)].sum(axis=0) for state, row in zip(states, ids, strict=True)])
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    return run


def speed(engines: dict[str, Engine]) -> dict[str, dict[str, dict[str, float]]]:
    """Case -> engine -> milliseconds a text."""
    results = {}
    for case, (texts, rounds) in CASES.items():
        taken: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, engine in engines.items():
                engine(texts)  # warm again after the others
                begun = time.process_time()
                engine(texts)
                taken[name].append((time.process_time() - begun) * 1000 / len(texts))
        results[case] = {name: _summary(values) for name, values in taken.items()}
        base = results[case]["sentence-transformers"]["median"]
        for name, figures in results[case].items():
            ratio = base / figures["median"]
            print(f"{case:14} {name:22} {figures['median']:7.2f} ({figures['best']:.2f}) ms  {ratio:.2f}x", flush=True)
    return results


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(float(np.median(values)), 3), "best": round(min(values), 3)}


def fidelity(engines: dict[str, Engine]) -> dict[str, dict[str, float]]:
    """Engine -> closeness to our float32 on Banking77."""
    from sklearn.linear_model import LogisticRegression

    train = read_intents(DATA / "intents/banking77.train.jsonl")[::3]
    dev = [row.text for row in read_intents(DATA / "intents/banking77.dev.jsonl")]
    exact = engines["ours, float32"]
    model = LogisticRegression(C=20, max_iter=100).fit(
        exact([row.text for row in train]), [row.intent for row in train]
    )
    expected = exact(dev)
    results = {}
    for name in [name for name in engines if name != "ours, float32"]:
        found = np.concatenate([engines[name]([text]) for text in dev])
        cosine = (found * expected).sum(axis=1)
        changed = int((model.predict(found) != model.predict(expected)).sum())
        figures = {
            "cosine_mean": cosine.mean(),
            "cosine_min": cosine.min(),
            "decisions_changed": changed,
            "of": len(dev),
        }
        results[name] = {key: round(float(value), 5) for key, value in figures.items()}
        print(f"fidelity {name:22} {results[name]}", flush=True)
    return results


def start() -> dict[str, dict[str, float]]:
    """Engine -> CPU seconds and peak MiB of a fresh process up to its first vector, the graph being in the cache."""
    folder = str(Encoder.load().files.root)
    results = {}
    for name, code in START.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        script = f"import resource, sys\n{code}\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        results[name] = {"cpu_s": round(seconds, 2), "peak_mib": round(int(done.stdout.split()[-1]) / 1024)}
        print(f"start {name:22} {results[name]}", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
