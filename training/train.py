"""`train_project`: from examples to a bundle that has proved itself, or a clear no.

Read top to bottom: gather rows, hold some out, fit the heads on the rest, write them, load what was written, measure
that on the held-out rows, measure the current bundle on the same rows, have a fresh process reproduce the predictions,
judge, seal the bundle, and move the pointer if the verdict allows it. What was measured is what is shipped: held-out
rows are never trained on, also not "once more on everything" at the end. Only a table of the examples is added, by
which a bot knows its author's own words when it hears them.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bot.bundles import Bundle, BundleStore
from bot.core.errors import InputError, IntegrityError, NotFound
from bot.core.protocols import Utterance
from bot.manifest import Draft
from training import evaluate as ev
from training.cards import card, versions
from training.data import data_set
from training.examples import IntentExample, SlotExample
from training.gate.evidence import (
    Cost,
    Evidence,
    HeldOut,
    Play,
    Side,
    Tests,
    folder_bytes,
    latencies,
    measure,
    opinions,
    paired,
)
from training.gate.judge import judge
from training.gate.measured import Judged
from training.gate.page import write_pages
from training.gate.verdict import Check, Past, Policy, Verdict
from training.gather import Gathered, Sources, gather
from training.progress import Progress, part, silent
from training.reproduce import predictions
from training.runs import Runs, digest_of, key_of
from training.searching import Searching
from training.seen import Seen
from training.speaking import SKILL as GENERATOR
from training.speaking import Speaking
from training.split import SplitOptions
from training.workshop import FitOptions, Made, Workshop

SKILLS = ("intent", "entities", "ranking")
_SHARES = {"intent": (0.05, 0.35), "entities": (0.35, 0.55), "ranking": (0.55, 0.7)}
"""What part of the progress each skill's fitting is."""
_PROBES = 200
"""Texts that the fresh process must reproduce."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What to train. `models` is the folder of bundles; the config that is saved with the result.

    `skills` not named here are taken over from the current bundle. `promote` False leaves the candidate unpromoted.
    `policy` is what the gate demands; `play` plays the project's tests with the skills in a folder; below `reports` a
    folder with verdict.json and diff.html is written, named like the bundle (None: none is written). `runs` is where
    fitted skills are kept until the bundle is sealed, so that a killed run can go on, and where trainers wait for each
    other (None: neither). `searching` is what a query projection is made of (None: that of the current bundle is kept),
    `past` plays past conversations with the candidate, to be looked at.
    """

    models: Path
    sources: Sources
    skills: tuple[str, ...] = SKILLS
    fit: FitOptions = field(default_factory=FitOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    promote: bool = True
    by: str = ""
    policy: Policy = field(default_factory=Policy)
    play: Play | None = None
    reports: Path | None = None
    runs: Runs | None = None
    searching: Searching | None = None
    speaking: Speaking | None = None
    past: Callable[[Bundle], Past] | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A sealed candidate, whether it is current now, and all that was measured.

    `reports`, and the numbers of rows `trained_on` and `held_out`, are by skill; `seconds` is wall time. `page` shows
    the verdict to people.
    """

    bundle: Bundle
    promoted: bool
    verdict: Verdict
    reports: Mapping[str, ev.Report]
    trained_on: Mapping[str, int]
    held_out: Mapping[str, int]
    notes: tuple[str, ...]
    seconds: float
    page: Path | None = None


def train_project(request: TrainRequest, workshop: Workshop, progress: Progress = silent) -> TrainResult:
    """Train, measure, judge, and promote if the verdict allows it.

    Raises:
        InputError: there is nothing to learn from, or a data file has bad rows.
        IntegrityError: the candidate cannot be loaded again.
        Conflict: another training is at work and does not end; or another bundle was promoted meanwhile: then the
            candidate is kept, unpromoted.
    """
    if request.runs is None:
        return _train(request, workshop, progress)
    with request.runs.alone(progress):
        result = _train(request, workshop, progress)
        request.runs.clear()
        if request.speaking is not None:
            request.speaking.clear()
        return result


def _train(request: TrainRequest, workshop: Workshop, progress: Progress) -> TrainResult:
    started = time.monotonic()
    progress(0.0, "reading examples")
    data = gather(request.sources, request.split)
    store = BundleStore(request.models)
    run = _Run(request, workshop, data, store, progress)
    bundle = store.create(run.fill)
    pages = frozenset() if request.searching is None else request.searching.pages.seen
    words = frozenset() if request.speaking is None else request.speaking.seen
    Seen(request.models).note(bundle.id, data.seen | pages | words, run.current_id if run.took_over else None)
    assert run.verdict is not None
    progress(0.96, "playing past conversations again")
    past = None if request.past is None else request.past(bundle)
    verdict = run.verdict.model_copy(update={"bundle": bundle.id, "past": past})
    page = write_pages(request.reports / bundle.id, verdict) if request.reports is not None else None
    promoted = verdict.promote and request.promote
    if promoted:
        findings = ", ".join(f"{item.skill} {item.finding}" for item in verdict.comparisons)
        store.promote(bundle.id, "trained", by=request.by, verdict=findings, replacing=run.current_id)
    progress(1.0, "done")
    return TrainResult(
        bundle=bundle,
        promoted=promoted,
        verdict=verdict,
        reports={skill: {**report, "bundle": bundle.id} for skill, report in run.reports.items()},
        trained_on={
            "intent": len(data.intents.train),
            "entities": len(data.slots.train),
            "ranking": _stories(data),
            GENERATOR: 0 if request.speaking is None else len(request.speaking.replies.train),
        },
        held_out={"intent": len(data.intents.held_out), "entities": len(data.slots.held_out)},
        notes=(*data.notes, *run.notes),
        seconds=time.monotonic() - started,
        page=page,
    )


class _Run:
    """One training run: `fill` makes the bundle's content and leaves verdict and reports."""

    def __init__(
        self, request: TrainRequest, workshop: Workshop, data: Gathered, store: BundleStore, progress: Progress
    ) -> None:
        self.request, self.workshop, self.data, self.progress = request, workshop, data, progress
        self.verdict: Verdict | None = None
        self.reports: Mapping[str, ev.Report] = {}
        self.notes: list[str] = []
        self.took_over = False
        self.current_id, self.current = self._current(store)

    def _finished(self, stage: Path, made: Mapping[str, object]) -> ev.Understander:
        """Add the examples themselves to the skills that were made."""
        intents, slots = self.data.intents, self.data.slots
        texts = (*intents.train, *intents.held_out) if "intent" in made else ()
        return self.workshop.finish(stage, texts, (*slots.train, *slots.held_out) if "entities" in made else ())

    def _current(self, store: BundleStore) -> tuple[str | None, Bundle | None]:
        """The current bundle; one that is damaged is named and not compared with."""
        try:
            return store.current(), store.open_current()
        except (IntegrityError, NotFound) as error:
            self.notes.append(f"the current bundle was not compared with, it is damaged: {error}")
            return store.pointer(), None

    def fill(self, stage: Path) -> Draft:
        """Fit, save, load, measure, compare, reproduce, judge."""
        made = {skill: self._make(skill, stage / skill) for skill in self._to_train()}
        self._take_over(stage, made)
        self._search(stage, made)
        self._speak(stage, made)
        candidate, labels = self.workshop.load(stage), self._labels(made)
        shipped, texts = self._finished(stage, made), self._probes()
        with ThreadPoolExecutor(1) as aside:  # the fresh process works beside the measuring
            checking = aside.submit(self.workshop.reproduce, stage, texts, predictions(shipped, texts))
            new = measure(candidate, labels, self._held_out, part(self.progress, 0.7, 0.82))
            new = replace(new, scored=self._scored(stage, made))
            self.progress(0.9, "checking in a fresh process")
            integrity = checking.result()
        skills = tuple(dict.fromkeys((*made, *new.scored)))
        more = self._guards(stage, made)
        evidence = self._evidence(Evidence(integrity, new, skills=skills, more=more), stage, shipped)
        self.verdict = judge(evidence, self.request.policy)
        measured = _reports(new, self._held_out)
        self.reports = {**measured, **{skill: item.report for skill, item in made.items() if item.report}}
        (stage / "verdict.json").write_text(self.verdict.bare().model_dump_json(indent=1) + "\n", encoding="utf-8")
        return self._draft(stage, made, measured, candidate.run([Utterance(text=texts[0])])[0].threshold)

    @property
    def _held_out(self) -> HeldOut:
        return HeldOut(self.data.intents.held_out, self.data.slots.held_out)

    def _evidence(self, found: Evidence, stage: Path, shipped: ev.Understander) -> Evidence:
        """What is found of the candidate, and the same of the current bundle, on the same rows."""
        new = replace(found.candidate, cost=Cost(None, folder_bytes(stage)), tests=self._play(stage))
        if self.current is None:
            return replace(found, candidate=new)
        path, current = self.current.path, self.workshop.load(self.current.path)
        times = latencies((shipped, self.workshop.finish(path, ())), self._probes())
        old = measure(current, self._current_labels(), self._held_out, part(self.progress, 0.82, 0.9))
        old = replace(old, scored=self._scored(path, ("ranking", *new.scored)))
        new, old = paired(new, old)
        return Evidence(
            integrity=found.integrity,
            candidate=replace(new, cost=Cost(times[0], folder_bytes(stage))),
            current=replace(old, cost=Cost(times[1], folder_bytes(path)), tests=self._play(path)),
            current_id=self.current_id,
            skills=found.skills,
            fresh=opinions(current, self.data.intents.train) if "intent" in found.skills and old.intents else (),
        )

    def _play(self, folder: Path) -> Tests | None:
        return None if self.request.play is None else self.request.play(folder)

    def _to_train(self) -> tuple[str, ...]:
        """The skills asked for that there is something to learn for; entity rules need no examples."""
        wanted = set(self.request.skills)
        if not self.data.intents.train:
            wanted.discard("intent")
        if not self.data.slots.train and self.current is not None and self.request.sources.project is None:
            wanted.discard("entities")
        if self.data.ranking is None:
            wanted.discard("ranking")
        if not wanted:
            raise InputError(
                f"expected examples for {', '.join(self.request.skills)}, found none; name a file with --data"
            )
        return tuple(skill for skill in SKILLS if skill in wanted)

    @property
    def _wants_ranking(self) -> bool:
        """Whether there may be a learned ranking: a project without stories has none."""
        return self.request.sources.project is None or self.data.ranking is not None

    def _make(self, skill: str, folder: Path) -> Made:
        """Fit a skill, or take what a killed run had already fitted."""
        if self.request.runs is None:
            return self._fit(skill, folder)
        return self.request.runs.stage(self._key(skill), folder, lambda fresh: self._fit(skill, fresh))

    def _key(self, skill: str) -> str:
        """What a fit depends on. The project counts whole: its rules and lists are part of the entities."""
        project, ranking = self.request.sources.project, self.data.ranking
        rows: Sequence[object] = self.data.intents.train if skill == "intent" else self.data.slots.train
        if skill == "ranking" and ranking is not None:
            rows = [ranking.described().sha256, sorted(ranking.texts.items()), ranking.strange]
        return key_of(
            {
                "skill": skill,
                "rows": digest_of(rows),
                "project": digest_of([] if project is None else [project.program.id, project.nlu, project.settings]),
                "fit": asdict(self.request.fit),
                "encoder": self.workshop.fingerprint,
                "versions": versions(),
            }
        )

    def _fit(self, skill: str, folder: Path) -> Made:
        low, high = _SHARES[skill]
        if skill == "ranking":
            assert self.data.ranking is not None
            return self.workshop.rank(folder, self.data.ranking, self.request.fit, part(self.progress, low, high))
        rows: Sequence[IntentExample] | Sequence[SlotExample]
        rows = self.data.intents.train if skill == "intent" else self.data.slots.train
        project = self.request.sources.project
        return self.workshop.make(skill, folder, rows, project, self.request.fit, part(self.progress, low, high))

    def _take_over(self, stage: Path, made: Mapping[str, Made]) -> None:
        """Copy the skills that were not trained from the current bundle, if it has them."""
        for skill in SKILLS:
            if skill in made or (skill == "ranking" and not self._wants_ranking):
                continue
            if self.current is not None and (self.current.path / skill).is_dir():
                shutil.copytree(self.current.path / skill, stage / skill)
                self.took_over = True

    def _search(self, stage: Path, made: dict[str, Made]) -> None:
        """Have questions find the pages that answered them, if that is proven; else search as the current bundle."""
        path = None if self.current is None else self.current.path
        if self.request.searching is not None:
            tried = self.request.searching.fit(stage, path, self.request.fit.seed, part(self.progress, 0.66, 0.7))
            self.notes.append(tried.told)
            made |= {} if tried.made is None else {"retrieval": tried.made}
        elif path is not None and (path / "retrieval").is_dir():
            shutil.copytree(path / "retrieval", stage / "retrieval")
            self.took_over = True

    def _speak(self, stage: Path, made: dict[str, Made]) -> None:
        """Have a generator word answers as people did, if enough of them did; else keep that of the current bundle."""
        path = None if self.current is None else self.current.path
        if self.request.speaking is not None:
            told = part(self.progress, 0.7, 0.8)
            fitted, said = self.request.speaking.make(stage, path, self.request.runs, told)
            self.notes.append(said)
            made |= {} if fitted is None else {GENERATOR: fitted}
        elif path is not None and (path / GENERATOR).is_dir():
            shutil.copytree(path / GENERATOR, stage / GENERATOR)
        self.took_over |= GENERATOR not in made and (stage / GENERATOR).is_dir()

    def _guards(self, stage: Path, made: Mapping[str, Made]) -> tuple[Check, ...]:
        """What is demanded of a new generator besides its likeness."""
        if self.request.speaking is None or GENERATOR not in made:
            return ()
        return tuple(self.request.speaking.checks(stage, None if self.current is None else self.current.path))

    def _scored(self, folder: Path, skills: Container[str]) -> dict[str, Sequence[Judged]]:
        """Held-out rows of skills that are no classifiers, as the skills in a folder judge them."""
        searching, ranking = self.request.searching, self.data.ranking
        found = {} if searching is None else {"retrieval": searching.judged(folder)}
        if ranking is not None and "ranking" in skills and (folder / "ranking").is_dir():
            found["ranking"] = self.workshop.chosen(folder, ranking.held)
        if self.request.speaking is not None and GENERATOR in skills:
            found[GENERATOR] = self.request.speaking.judged(folder)
        return {skill: rows for skill, rows in found.items() if rows}

    def _labels(self, made: Mapping[str, Made]) -> dict[str, tuple[str, ...]]:
        return self._current_labels() | {skill: item.labels for skill, item in made.items()}

    def _current_labels(self) -> dict[str, tuple[str, ...]]:
        cards = {} if self.current is None else self.current.manifest.skills
        return {skill: card.labels for skill, card in cards.items()}

    def _probes(self) -> list[str]:
        intents, slots = self.data.intents, self.data.slots
        sides: list[Sequence[IntentExample] | Sequence[SlotExample]]
        sides = [intents.held_out, slots.held_out, intents.train, slots.train]
        return [row.text for side in sides for row in side][:_PROBES]

    def _draft(
        self, stage: Path, made: Mapping[str, Made], measured: Mapping[str, ev.Report], threshold: float
    ) -> Draft:
        cards = {} if self.current is None else dict(self.current.manifest.skills)
        if not self._wants_ranking:
            cards.pop("ranking", None)
        if self.request.searching is not None and "retrieval" in made:
            cards["retrieval"] = self.request.searching.card(self.workshop.base, made["retrieval"])
        if self.request.speaking is not None and GENERATOR in made:
            cards[GENERATOR] = self.request.speaking.card(made[GENERATOR], stage)
        for skill, item in ((skill, made[skill]) for skill in SKILLS if skill in made):
            cards[skill] = card(skill, self.workshop.base, item, self.data, measured.get(skill))
        project, found = self.request.sources.project, versions()
        return Draft(
            kind="models",
            parent=self.current_id,
            code=str(found["understudy"]),
            lock=hashlib.sha256(
                "\n".join(f"{name}=={version}" for name, version in found.items()).encode()
            ).hexdigest(),
            seeds={"fit": self.request.fit.seed},
            skills=cards,
            thresholds={"in_scope": threshold},
            program=project.program.id if project is not None else "",
            encoder=self.workshop.fingerprint,
            details={"versions": found, "split": asdict(self.request.split)},
        )


def _reports(side: Side, rows: HeldOut) -> dict[str, ev.Report]:
    found = {}
    if side.intents:
        found["intent"] = ev.intent_report(side.intents, data_set("held out", rows.intents))
    if side.slots:
        found["entities"] = ev.slot_report(side.slots, data_set("held out", rows.slots))
    return found


def _stories(data: Gathered) -> int:
    return 0 if data.ranking is None else len(data.ranking.groups)
