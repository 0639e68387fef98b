"""Trains the starter recogniser in steps that can be broken off and gone on with.

The loss is the decoder's cross-entropy and, so that the encoder learns at once where words are, a CTC loss on its
states (Graves et al. 2006; joint training after Kim et al. 2017). Sentences are spoken as they are needed: every so
many steps a further part of the corpus comes in, so that training does not wait for all of it. What a step trains on,
and how its sound is spoiled, follows from the seed and the step alone; with the moments in the checkpoint, a run that
was killed ends as one that was not (on the same machine and number of threads). Bands and spans of the log-mel frames
are hidden (SpecAugment, Park et al. 2019).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bot.core.speech import RATE
from training.hearing.card import card
from training.hearing.corpus import PART, Clip, Corpus, opened, speak, store
from training.hearing.net import Batch, Hearing, Tokens, mels, written
from training.hearing.picture import picture
from training.hearing.recordings import human
from training.hearing.score import errors, held_out, over_the_telephone
from training.hearing.sentences import training_sentences
from training.hearing.sounds import TRAINED, nothing
from training.hearing.spoil import spoiled
from training.hearing.voices import Sound
from training.progress import Progress, silent
from training.steps import Plan, Point, keep, optimizers_of, resume


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    `sentences` are spoken in all, a further thousand every `grow` steps, a share `recorded` of them by flite; `people`
    is the share of human recordings in a batch. In the first `easy` steps come the shortest utterances (Amodei et al.
    2016), hardly spoiled, then ever longer and worse ones: where words are is soon found, at little cost. Every
    `measure` steps `dev` held-out utterances tell the error rate.
    """

    sentences: int = 24_000
    ranks: int = 1024
    width: int = 256
    encoder: int = 6
    decoder: int = 3
    steps: int = 1500
    batch: int = 40
    rate: float = 2e-3
    hidden_rate: float = 1e-2
    ctc: float = 0.5
    grow: int = 30
    easy: int = 300
    recorded: float = 0.2
    people: float = 0.06
    keep_every: int = 20
    measure: int = 100
    dev: int = 48
    seed: int = 0

    @property
    def plan(self) -> Plan:
        """The steps and their rates."""
        return Plan(
            steps=self.steps,
            batch=self.batch,
            rate=self.rate,
            hidden_rate=self.hidden_rate,
            warm=0.03,
            seed=self.seed,
            keep_every=self.keep_every,
        )


@dataclass(frozen=True)
class Measured:
    """What a run had come to: word error rates of held-out voices, and the processor's seconds of this process."""

    step: int
    clean: float
    telephone: float
    seconds: float


def fit(data: Path, recipe: Recipe, out: Path, progress: Progress = silent) -> dict[str, Any]:
    """Train the starter into `out/model.pt`, with its card; the figures. What was broken off goes on.

    Raises:
        NotFound: a program or a recording is missing.
        ValueError: the checkpoint in `out` is of another recipe.
    """
    torch.manual_seed(recipe.seed)
    model = Hearing(Tokens(recipe.ranks), recipe.width, (recipe.encoder, recipe.decoder))
    run = Run(model, recipe, data, out)
    curve = run.go(progress)
    model.save(out / "model.pt")
    figures = {"recipe": asdict(recipe), "parameters": sum(weights.numel() for weights in model.whisper.parameters())}
    figures["measured"] = [asdict(one) for one in run.measured]
    (out / "figures.json").write_text(json.dumps(figures) + "\n")
    (out / "curve.svg").write_text(picture(curve, run.measured))
    (out / "README.md").write_text(card(figures))
    return figures


class Run:
    """A training run in its folder."""

    def __init__(self, model: Hearing, recipe: Recipe, data: Path, out: Path) -> None:
        self.model, self.recipe, self.out = model, recipe, out
        self.corpus, self.dev = Growing(recipe, out / "corpus"), _dev(recipe, out)
        self.people = _people(data, recipe, out)
        self.measured = _measured(out)
        self._since = 0.0

    def go(self, progress: Progress) -> list[Point]:
        """Train to the end; the curve."""
        recipe, plan = self.recipe, self.recipe.plan
        optimizers = optimizers_of(self.model, plan, inside="blocks.")
        curve = resume(self.model, optimizers, plan, self.out)
        self.measured = [one for one in self.measured if one.step <= len(curve)]
        self.model.train()
        for step in range(len(curve), recipe.steps):
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * plan.share(step)
            loss, learned = self._step(optimizers, step)
            curve.append(Point(step + 1, loss, (curve[-1].learned if curve else 0) + learned))
            progress((step + 1) / recipe.steps, f"step {step + 1} of {recipe.steps}, loss {loss:.3f}")
            if (step + 1) % recipe.measure == 0 or step + 1 == recipe.steps:
                self._measure(step + 1, curve)
            if (step + 1) % recipe.keep_every == 0 or step + 1 == recipe.steps:
                keep(self.model, optimizers, plan, self.out, curve)
        return curve

    def _step(self, optimizers: Sequence[torch.optim.Optimizer], step: int) -> tuple[float, int]:
        batch = self.batch(step)
        words, aligned = self.model.losses(batch)
        loss = words + self.recipe.ctc * aligned
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"the loss is {float(loss)} at step {step + 1}; use a lower rate")
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(words.detach()), int((batch.tokens >= 0).sum())

    def batch(self, step: int) -> Batch:
        """What a step trains on."""
        dice = np.random.default_rng((self.recipe.seed, step))
        chosen = self._chosen(dice, step)
        share = min(1.0, step / max(1, self.recipe.easy))
        sounds = [spoiled(clip.samples, dice, share) for clip in chosen]
        longest = max(map(len, sounds))
        for _ in range(max(1, self.recipe.batch // 24)):
            sounds.append(nothing(dice, int(longest * dice.uniform(0.3, 1)), TRAINED))
        texts = [clip.text for clip in chosen] + [""] * (len(sounds) - len(chosen))
        return Batch(hidden(mels(sounds), dice, share), written(self.model.tokens, texts))

    def _chosen(self, dice: np.random.Generator, step: int) -> list[Clip]:
        """Utterances of like length: a run of those that were drawn, in the order of their lengths."""
        corpus = self.corpus.at(step)
        people = int(dice.binomial(self.recipe.batch, self.recipe.people)) if len(self.people) else 0
        machines = self.recipe.batch - people
        drawn = dice.choice(len(corpus), min(len(corpus), 8 * machines), replace=False)
        ordered = sorted(drawn.tolist(), key=corpus.seconds)
        runs = max(1, len(ordered) // machines)
        start = machines * int(dice.integers(0, max(1, min(runs, runs * step // max(1, self.recipe.easy)))))
        rows = ordered[start : start + machines]
        middle = corpus.seconds(rows[len(rows) // 2])
        near = sorted(range(len(self.people)), key=lambda row: abs(self.people.seconds(row) - middle))[: 8 * people]
        picked = dice.choice(near, people, replace=False).tolist() if people else []
        return [*(corpus.clip(row) for row in rows), *(self.people.clip(row) for row in picked)]

    def _measure(self, step: int, curve: Sequence[Point]) -> None:
        self.model.eval()
        clean, telephone = (rate(self.model, clips) for clips in (self.dev, over_the_telephone(self.dev)))
        self.model.train()
        before = self.measured[-1].seconds if self.measured else 0.0
        self.measured.append(Measured(step, clean, telephone, before + self._spent()))
        lines = [json.dumps(asdict(one)) for one in self.measured]
        (self.out / "measured.jsonl").write_text("\n".join(lines) + "\n")
        (self.out / "curve.svg").write_text(picture(curve, self.measured))

    def _spent(self) -> float:
        now, before = time.process_time(), self._since
        self._since = now
        return now - before


class Growing:
    """The spoken sentences of the first steps, and of more at later ones."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self.sentences = training_sentences(recipe.sentences, recipe.seed)
        self.paths: list[Path] = []
        self.corpus = Corpus((), ())

    def at(self, step: int) -> Corpus:
        """What has been said by a step; it is said now if it was not."""
        parts = min(-(-len(self.sentences) // PART), 2 + step // self.recipe.grow)
        if parts != len(self.paths):
            said = self.recipe.seed, self.recipe.recorded
            self.paths = [speak(self.folder, self.sentences, part, *said) for part in range(parts)]
            self.corpus = opened(self.paths)
        return self.corpus


def rate(model: Hearing, clips: Sequence[Clip]) -> float:
    """The word error rate of a model on clips."""
    return errors([clip.text for clip in clips], hear(model, [clip.samples for clip in clips])).rate


def hear(model: Hearing, sounds: Sequence[Sound], size: int = 16) -> list[str]:
    """What a model hears in sounds, in their order, those of like length together."""
    order = sorted(range(len(sounds)), key=lambda row: len(sounds[row]))
    heard = [""] * len(sounds)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        for row, text in zip(rows, model.hear(mels([sounds[row] for row in rows])), strict=True):
            heard[row] = text
    return heard


def hidden(mel: Tensor, dice: np.random.Generator, share: float = 1.0) -> Tensor:
    """Frames with bands and spans put to their mean, in so large a share of the utterances."""
    chosen = dice.random(len(mel)) < share
    for one in (one for one, taken in zip(mel, chosen, strict=True) if taken):
        mean = float(one.mean())
        for _ in range(2):
            width = int(dice.integers(0, 14))
            low = int(dice.integers(0, one.shape[0] - width))
            one[low : low + width] = mean
            span = int(dice.integers(0, max(2, one.shape[1] // 16)))
            start = int(dice.integers(0, one.shape[1] - span))
            one[:, start : start + span] = mean
    return mel


def _dev(recipe: Recipe, out: Path) -> list[Clip]:
    path = out / "corpus" / "dev"
    if not path.with_suffix(".json").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        store(path, held_out(recipe.dev, recipe.seed, recorded=recipe.recorded))
    kept = opened([path])
    return [kept.clip(row) for row in range(len(kept))]


def _people(data: Path, recipe: Recipe, out: Path) -> Corpus:
    path = out / "corpus" / "people"
    if not path.with_suffix(".json").exists():
        store(path, [clip for clip in human(data, recipe.seed) if len(clip.samples) < 8 * RATE])
    return opened([path])


def _measured(out: Path) -> list[Measured]:
    path = out / "measured.jsonl"
    return [Measured(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
