"""The skill "generator" of a bundle: what a team's replies have taught a base model, and how that is measured.

It is fitted as an adapter (`training.generator`), saved as the peft library does, and merged into a copy of the base
for serving. Whether both are the same model is tried on held-out prompts, and a merged one that writes other texts is
refused, as is one that the gate's demands on wording (`training.gate.voice`) hold back. On held-out replies it is
measured beside the generator in use, or beside the base where none is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.manifest import DataSet, SkillCard
from skills.decoder_files import find_folder
from skills.generator_files import ADAPTER, CARD, MERGED, STARTER, Base, check_base, read_card, write_card
from training import likeness
from training.gate.measured import Judged
from training.gate.verdict import Check
from training.gate.voice import checks
from training.generator import AdapterOptions, fit_adapter, load_adapted, load_base, merge
from training.progress import Progress, part, silent
from training.runs import Runs, digest_of, key_of
from training.spoken import Spoken, figures, measure, origin_of, talk_loss
from training.styles import all_asked, style_of
from training.wording import Replies
from training.workshop import Made
from training.writing import write_all

SKILL = "generator"
_TRIED = 12
"""Held-out prompts on which adapter and merged model must write the same."""


class Speaking:
    """Rows, the base that they teach, and where a fit keeps its checkpoints until the bundle is sealed."""

    def __init__(
        self, base: Path, replies: Replies, work: Path, options: AdapterOptions | None = None, tone: str = ""
    ) -> None:
        self.base, self.replies, self._work, self._tone = base, replies, work, tone
        self.options = options or AdapterOptions()
        self._spoken: dict[str, Spoken] = {}

    @property
    def seen(self) -> frozenset[str]:
        """The conversations that taught or measured."""
        return self.replies.seen

    @property
    def key(self) -> str:
        """What a fit depends on."""
        return key_of(
            {
                "rows": digest_of(self.replies.train),
                "replayed": {name: list(said) for name, said in self.replies.replayed.items()},
                "base": asdict(Base.of(self.base)),
                "options": asdict(self.options),
                "tone": self._tone,
            }
        )

    def known(self, bundle: Path | None) -> bool:
        """Whether a bundle's generator was made of the very same."""
        return bundle is not None and (bundle / SKILL / CARD).is_file() and read_card(bundle / SKILL)["key"] == self.key

    def make(
        self, stage: Path, current: Path | None, runs: Runs | None, progress: Progress = silent
    ) -> tuple[Made | None, str]:
        """Put a generator into the bundle that is being made: a new one that harms nothing, or that of the current
        bundle, if it has one. What it fails holds back itself alone, not what else was learned.

        What was fitted (None: nothing), and why or why not in a sentence.
        """
        if not self.replies.enough or self.known(current):
            kept = self._keep(stage, current)
            why = "there is nothing new to learn" if self.replies.enough else "there is too little to learn from"
            return None, f"no new generator, {kept}: {why} ({self.replies.told()})"
        try:
            fresh = (
                runs.stage(self.key, stage / SKILL, self._fit(progress)) if runs else self._fit(progress)(stage / SKILL)
            )
        except IntegrityError as error:
            shutil.rmtree(stage / SKILL, ignore_errors=True)
            return None, f"no new generator, {self._keep(stage, current)}: {error}"
        if failed := [check.sentence for check in self.checks(stage, current) if check.state == "failed"]:
            shutil.rmtree(stage / SKILL)
            return None, f"no new generator, {self._keep(stage, current)}: {'; '.join(failed)}"
        return fresh, self.replies.told()

    def _fit(self, progress: Progress) -> Callable[[Path], Made]:
        return lambda folder: self.fit(folder, progress)

    def _keep(self, stage: Path, current: Path | None) -> str:
        """Take over the generator in use, if it belongs to the base."""
        if current is None or not (current / SKILL).is_dir():
            return "answers are said as approved"
        try:
            check_base(current / SKILL, self.base)
        except IntegrityError:
            return "answers are said as approved: the generator in use belongs to another base"
        shutil.copytree(current / SKILL, stage / SKILL)
        return "the generator in use stays"

    def fit(self, folder: Path, progress: Progress = silent) -> Made:
        """Fit an adapter, merge it, and write both.

        Raises:
            InputError: no reply can be said in the base's form of prompts.
            IntegrityError: the merged model does not write what base and adapter write.
        """
        folder.mkdir(parents=True, exist_ok=True)
        work = self._work / self.key
        style = style_of(self.base, self._tone)
        asked = all_asked(style, self.replies.train)
        if not asked:
            raise InputError(f"none of {len(self.replies.train)} replies can be said in the prompts of {self.base}")
        kept = [style.talk([("user", text) for text in said]) for said in self.replies.replayed.values()]
        learned = [*(one.sample for one in asked), *kept]
        fit_adapter(self.base, learned, work, self.options, part(progress, 0.0, 0.9))
        shutil.copytree(work / ADAPTER, folder / ADAPTER)
        merge(self.base, folder / ADAPTER, folder / MERGED)
        taught = sorted(row.id for row in self.replies.train)
        write_card(folder, Base.of(self.base), {"key": self.key, "name": self.base.name, "rows": taught})
        progress(0.9, "comparing adapter and merged model")
        self.check(folder)
        return Made("lora", (), {**asdict(self.options), "replies": len(asked)})

    def clear(self) -> None:
        """Remove the checkpoints: the bundle is sealed."""
        shutil.rmtree(self._work, ignore_errors=True)

    def judged(self, bundle: Path | None) -> list[Judged]:
        """How near the generator of a bundle's folder comes to what people wrote; the base's, where it has none."""
        found = self.spoken(bundle)
        return [
            Judged(
                text=row.text,
                right=row.reply,
                said=said,
                score=likeness.rouge_l(said, row.reply),
                lang=row.lang,
                where=row.where,
                origin=origin_of(row).origin,
            )
            for row, said in zip(found.rows, found.texts, strict=True)
            if row.reply
        ]

    def spoken(self, bundle: Path | None) -> Spoken:
        """What the generator of a bundle's folder, or the base, makes of the held-out rows; measured once."""
        folder = self._merged(bundle) or self.base
        weights = Base.of(folder).weights  # a bundle moves when it is sealed
        if weights not in self._spoken:
            self._spoken[weights] = measure(*load_base(folder), style_of(folder, self._tone), self.replies)
        return self._spoken[weights]

    def checks(self, bundle: Path, current: Path | None) -> list[Check]:
        """What the gate demands of the generator in a bundle's folder besides its likeness."""
        name = "the one in use" if self._merged(current) is not None else "the base"
        known = self.spoken(None).talk if self._merged(current) is None else self._talk_of_base
        return checks(self.spoken(bundle), self.spoken(current), known, name)

    @cached_property
    def _talk_of_base(self) -> float:
        return talk_loss(*load_base(self.base), style_of(self.base, self._tone), self.replies)

    def card(self, made: Made, bundle: Path) -> SkillCard:
        """For the manifest."""
        held = self.replies.held_out
        return SkillCard(
            base=self.base.name,
            method=made.method,
            data=(self.replies.described(),),
            held_out=DataSet(name="held out", sha256=digest_of(held), rows=len(held)),
            hyper_parameters=dict(made.hyper_parameters),
            metrics=figures(self.spoken(bundle)),
            note=f"words answers as people of the team did; {self.replies.told()}",
        )

    @staticmethod
    def _merged(bundle: Path | None) -> Path | None:
        folder = None if bundle is None else bundle / SKILL / MERGED
        return folder if folder is not None and folder.is_dir() else None

    def check(self, folder: Path) -> None:
        """Whether adapter and merged model write the same.

        Raises:
            IntegrityError: they do not.
        """
        style = style_of(self.base, self._tone)
        asked = all_asked(style, [row for row in self.replies.held_out if row.reply])[:_TRIED]
        both = (load_adapted(self.base, folder / ADAPTER), load_base(folder / MERGED))
        texts = [write_all(model, tokenizer, style, asked) for model, tokenizer in both]
        other = sum(one != two for one, two in zip(*texts, strict=True))
        if other:
            raise IntegrityError(
                str(folder / MERGED),
                f"{other} of {len(texts[0])} held-out texts are not what the adapter writes on its base; "
                "it was refused, the generator in use stays",
            )


def taught_by(bundle: Path | None) -> frozenset[str]:
    """The ids of the rows that the generator of a bundle's folder was trained on; they may not measure the next one."""
    if bundle is None or not (bundle / SKILL / CARD).is_file():
        return frozenset()
    return frozenset(read_card(bundle / SKILL)["rows"])


def base_folder(model: str, revision: str | None, root: Path) -> Path:
    """The folder of a base model: `starter`, a folder (seen from the project, or from here), or one of the hub.

    Raises:
        NotFound: there is none.
        InputError: a repository without a commit.
    """
    if model == "starter" and not Path(model).is_dir():
        if not STARTER.is_dir():
            told = f"train it (python -m training.starter --data DIR --out {STARTER}), or name a folder with a model"
            raise NotFound(f"generator 'starter': the starter model is not in this installation; {told}")
        return STARTER
    near = root / Path(model).expanduser()
    return near if near.is_dir() else find_folder(model, revision)
