"""What a fine-tune on the demo's agents brings: LoRA beside the base and beside a full fine-tune, and what it forgets.

    python -m benchmarks.wording                       # the starter model; docs/benchmarks/wording.md, about 15 minutes
    python -m benchmarks.wording --base FOLDER         # another base
    python -m benchmarks.wording --without full        # LoRA alone, about 6 minutes

The rows are what `bot train` learns from (`training.wording`): examples/shop/logs/people/agents.jsonl through the
importer, the masker and the shop's index; the newest weeks and a fifth of the customers measure. A full fine-tune sees
the same samples in the same order, at the better of two rates by held-out loss, so its figure flatters it. What is
forgotten is the perplexity of general dialogues (the dev files of $UNDERSTUDY_DATA/dialogues, as in
`training.starter`). Fits go on where they were broken off, and results that are there are not made again: remove the
work folder to begin anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bot.app import load_encoder, load_index
from bot.config import load_settings
from bot.project import load_project
from bot.store import SqlStore
from retrieval.ingest import ingest
from skills.generator_files import ADAPTER, MERGED, STARTER, Base
from training import likeness
from training import metrics as m
from training.consent import cleared
from training.gate.measured import groups_of
from training.gate.voice import unsupported_sentences
from training.gather import read_log
from training.generator import AdapterOptions, fit, load_adapted, load_base, mean_loss
from training.importer import import_file
from training.rows import Row
from training.sides import SplitOptions
from training.speaking import SKILL, Speaking
from training.spoken import Spoken, measure, origin_of, perplexity
from training.starter import corpus
from training.styles import all_asked, style_of
from training.threads import one_thread
from training.wording import Replies, replies
from training.writing import write_all

ROOT = Path(__file__).resolve().parents[1]
SHOP, PAGE = ROOT / "examples" / "shop", ROOT / "docs" / "benchmarks" / "wording.md"
DATA = Path(os.environ.get("UNDERSTUDY_DATA", ROOT.parent / "shared" / "data"))
RATES = (3e-4, 1e-3)
_HEAD = "| model | trained weights | perplexity | BLEU | ROUGE-L | edits | unsupported | general |"
WINDOWS = 60
FRESH = (
    "import sys, json, torch; from transformers import AutoModelForCausalLM; from peft import PeftModel\n"
    "torch.set_num_threads(1)\n"
    "model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2]).eval()\n"
    "print(json.dumps(model(torch.tensor([json.loads(sys.argv[3])])).logits[0].tolist()))"
)


def shop_replies(work: Path) -> Replies:
    """What the shop's log says of how its people word answers."""
    kept = work / "replies.json"
    if not kept.is_file():
        shop = work / "shop"
        shutil.rmtree(shop, ignore_errors=True)
        shutil.copytree(SHOP, shop, ignore=shutil.ignore_patterns(".bot"))
        project, encoder = load_project(shop), load_encoder(load_settings(shop), shop)
        ingest(list(project.knowledge), project.settings.state_folder(shop) / "index", encoder)
        log = work / "log.db"
        log.unlink(missing_ok=True)
        asyncio.run(_import(log))
        index = load_index(project, encoder)
        assert index is not None
        found = replies(cleared(read_log(log), project.settings), index, SplitOptions(), vectors=encoder.vectors)
        plain = {**asdict(replace(found, rows=())), "rows": [row.model_dump(mode="json") for row in found.rows]}
        kept.write_text(json.dumps(plain), encoding="utf-8")
    plain = json.loads(kept.read_text(encoding="utf-8"))
    rows = tuple(Row.model_validate(row) for row in plain["rows"])
    return Replies(rows, plain["counts"], plain["since"], tuple(map(tuple, plain["talks"])))


async def _import(log: Path) -> None:
    async with SqlStore(log) as store:
        await import_file(SHOP / "logs" / "people" / "agents.jsonl", store)


class Bench:
    """One base and the rows; results by name in `work`."""

    def __init__(self, base: Path, work: Path, options: AdapterOptions) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.base, self.work, self.options = base, work, options
        self.replies = shop_replies(work)
        self.speaking = Speaking(base, self.replies, work / "fits", options)
        self.style = style_of(base)

    def lora(self) -> Path:
        """The bundle's folder of the adapter."""
        folder = self.work / "bundle"
        if not (folder / SKILL / MERGED / "model.safetensors").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            self._timed("lora", lambda: self.speaking.fit(folder / SKILL, _told))
        return folder / SKILL

    def full(self, rate: float) -> Path:
        """A fine-tune of all weights."""
        folder = self.work / f"full-{rate:g}"
        if not (folder / "model.safetensors").is_file():
            model, tokenizer = load_base(self.base)
            samples = [one.sample for one in all_asked(self.style, self.replies.train)]
            options = replace(self.options, rate=rate)
            self._timed(folder.name, lambda: fit(model, tokenizer, samples, folder / "fit", options, _told))
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return folder

    def spoken(self, name: str, folder: Path) -> tuple[Spoken, float]:
        """What a model makes of the held-out rows, and its mean loss on general dialogues."""
        kept = self.work / f"{name}.json"
        if not kept.is_file():
            model, tokenizer = load_base(folder)
            with one_thread():
                found = measure(model, tokenizer, self.style, self.replies)
                general = mean_loss(model, tokenizer, _dialogues(), length=384)
            plain = {**asdict(replace(found, rows=())), "ids": [row.id for row in found.rows], "general": general}
            kept.write_text(json.dumps(plain), encoding="utf-8")
        plain = json.loads(kept.read_text(encoding="utf-8"))
        known = {row.id: row for row in self.replies.rows}
        rows = tuple(known[name] for name in plain["ids"])
        texts, losses, tokens = (tuple(plain[part]) for part in ("texts", "losses", "tokens"))
        return Spoken(rows, texts, losses, tokens, plain["talk"]), plain["general"]

    def seconds(self, name: str) -> float:
        """CPU time of a fit; 0 if it was broken off and gone on with."""
        path = self.work / f"{name}.seconds"
        return float(path.read_text()) if path.is_file() else 0.0

    def fresh(self, generator: Path) -> float:
        """The largest difference of a logit between this process and a fresh one with plain peft."""
        import torch

        model, tokenizer = load_adapted(self.base, generator / ADAPTER)
        ids = tokenizer(all_asked(self.style, self.replies.held_out)[0].sample.given)["input_ids"]
        command = [sys.executable, "-c", FRESH, str(self.base), str(generator / ADAPTER), json.dumps(ids)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        with torch.inference_mode(), one_thread():
            ours = model.eval()(torch.tensor([ids])).logits[0].numpy()
        return float(np.abs(ours - np.array(json.loads(done.stdout))).max())

    def together(self, generator: Path) -> tuple[float, float]:
        """CPU seconds to write eight texts, half with each of two adapters: in one batch by peft, and one merged model
        after the other."""
        asked = all_asked(self.style, [row for row in self.replies.held_out if row.reply])[:8]
        model, tokenizer = load_adapted(self.base, generator / ADAPTER)
        model.load_adapter(str(generator / ADAPTER), adapter_name="other")
        names = ["default", "other"] * 4

        class Mixed:
            """The model with the adapter of each row."""

            device = model.device

            def eval(self) -> None:
                model.eval()

            def __call__(self, ids: Any, **more: Any) -> Any:
                return model(ids, adapter_names=names[: len(ids)], **more)

        merged, _ = load_base(generator / MERGED)
        with one_thread():
            mixed = _cpu(lambda: write_all(Mixed(), tokenizer, self.style, asked, 24))
            apart = _cpu(lambda: [write_all(merged, tokenizer, self.style, asked[n::2], 24) for n in (0, 1)])
        return mixed, apart

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        whole = not (self.work / f"{name}.begun").is_file()
        (self.work / f"{name}.begun").touch()
        seconds = _cpu(work)
        if whole:
            (self.work / f"{name}.seconds").write_text(f"{seconds:.1f}")


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _told(share: float, what: str) -> None:
    sys.stderr.write(f"\r{share:4.0%} {what:50}")


def _dialogues() -> list[Any]:
    return list(islice(corpus.windows(corpus.dialogues(DATA, "dev")), 0, WINDOWS * 40, 40))


def change(ours: Spoken, theirs: Spoken, statistic: Callable[[Spoken, Sequence[int]], m.Statistic]) -> str:
    """The difference with its 95 % interval, conversations drawn whole, the same ones for both."""
    told = [number for number, row in enumerate(ours.rows) if row.reply]
    groups = groups_of([origin_of(ours.rows[number]) for number in told])
    both = m.difference(statistic(ours, told), statistic(theirs, told))
    found = m.bootstrap(both, len(told), clusters=groups)
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _perplexity(found: Spoken, rows: Sequence[int]) -> m.Statistic:
    return perplexity([found.losses[row] for row in rows], [found.tokens[row] for row in rows])


def _mean_of(score: Callable[[str, str], float]) -> Callable[[Spoken, Sequence[int]], m.Statistic]:
    return lambda found, rows: m.mean([score(found.texts[row], found.rows[row].reply) for row in rows])


def _bleu(found: Spoken, rows: Sequence[int]) -> m.Statistic:
    return likeness.bleu([found.texts[row] for row in rows], [found.rows[row].reply for row in rows])


STATISTICS = {
    "perplexity": _perplexity,
    "BLEU": _bleu,
    "ROUGE-L": _mean_of(likeness.rouge_l),
    "edits": _mean_of(likeness.edits),
}


def line(name: str, found: Spoken, general: float, base: tuple[Spoken, float], trained: str) -> str:
    """A row of the table."""
    told = [number for number, row in enumerate(found.rows) if row.reply]
    one = np.ones((1, len(told)))
    cells = [f"{float(statistic(found, told)(one)[0]):.3f}" for statistic in STATISTICS.values()]
    if found is not base[0]:
        changes = [change(found, base[0], statistic) for statistic in STATISTICS.values()]
        cells = [f"{cell}, {moved}" for cell, moved in zip(cells, changes, strict=True)]
    wrong, total, _ = unsupported_sentences(found)
    forgets = f"{np.exp(general):.2f} ({np.exp(general - base[1]) - 1:+.1%})"
    return f"| {name} | {trained} | {' | '.join(cells)} | {sum(wrong)} of {sum(total)} | {forgets} |"


def page(bench: Bench, with_full: bool) -> str:
    """The text of the benchmark's page."""
    generator = bench.lora()
    base, lora = bench.spoken("base", bench.base), bench.spoken("lora", generator / MERGED)
    total, added = _weights(bench.base), _weights(generator / ADAPTER)
    lines = [
        line("base", *base, base, "-"),
        line("LoRA", *lora, base, f"{added:,} ({added / total:.1%})"),
    ]
    told = []
    if with_full:
        fulls = {rate: bench.spoken(f"full-{rate:g}", bench.full(rate)) for rate in RATES}
        rate, full = min(fulls.items(), key=lambda item: sum(item[1][0].losses))
        lines.append(line(f"all weights, rate {rate:g}", *full, base, f"{total:,} (100 %)"))
        ratio = sum(lora[0].losses) / sum(full[0].losses) - 1
        told.append(f"LoRA's held-out loss is {ratio:+.1%} of the full fine-tune's.")
        told.append(f"ROUGE-L, LoRA less full: {change(lora[0], full[0], STATISTICS['ROUGE-L'])}.")
    mixed, apart = bench.together(generator)
    told += [
        f"The fit took {bench.seconds('lora'):.0f} s of CPU time on one thread"
        + (f", a full one {bench.seconds(f'full-{RATES[0]:g}'):.0f} s." if with_full else "."),
        f"A fresh process with plain `peft` gives the same logits within {bench.fresh(generator):.1e}.",
        f"Eight texts for two adapters: {mixed:.1f} s of CPU time in one batch by peft's `adapter_names`, "
        f"{apart:.1f} s one merged model after the other.",
    ]
    return _page(bench, lines, told)


def _page(bench: Bench, lines: Sequence[str], told: Sequence[str]) -> str:
    found = bench.replies
    held = sum(bool(row.reply) for row in found.held_out)
    weights = f"`{bench.base.name}` (weights {Base.of(bench.base).weights[:12]}, {_weights(bench.base):,} of them)"
    where = f"{platform.machine()}, {os.cpu_count()} cores, one thread used"
    parts = (
        "# Words like the team's",
        f"`python -m benchmarks.wording` on {datetime.now(UTC):%Y-%m-%d}, {where}; base {weights}. "
        "What is learned, and how: docs/generator.md.",
        f"{found.told()[0].upper()}{found.told()[1:]}. {len(found.train)} rows teach; {held} replies and "
        f"{len(found.held_out) - held} questions without an answer measure: the newest weeks and a fifth of the "
        f"customers, of whom no row teaches. Options: `{json.dumps(asdict(bench.options))}`.",
        "Cells hold the figure, then its change against the base with the 95 % interval of a paired bootstrap over "
        "conversations. *edits*: the share of letters a person would have to change. *unsupported*: sentences that "
        "say what their passages do not, before any check. *general*: the perplexity of "
        f"{WINDOWS} windows of public dialogues, and its change.",
        "\n".join((_HEAD, "| --- " * _HEAD.count(" | ") + "| --- |", *lines)),
        "\n".join(f"- {item}" for item in told),
    )
    return "\n\n".join(parts) + "\n"


def _weights(folder: Path) -> int:
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as opened:
            total += sum(int(np.prod(opened.get_slice(name).get_shape())) for name in opened.keys())  # noqa: SIM118
    return total


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wording")
    parser.add_argument("--base", type=Path, default=STARTER)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "wording")
    parser.add_argument("--without", choices=("full",), default="")
    parser.add_argument("--out", type=Path, default=PAGE)
    asked = parser.parse_args()
    text = page(Bench(asked.base, asked.work, AdapterOptions()), asked.without != "full")
    asked.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
