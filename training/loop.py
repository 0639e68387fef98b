"""One round of learning: from what people said to a bundle that has proved itself, or a written no.

    log -> masked turns -> labels -> snapshot -> candidate -> gate -> in use        `learn`
    every night, unattended, with a verdict each time                               `nightly`

Read `_Round.run` top to bottom. Every round ends in a folder with verdict.json, verdict.md and page.html, also one that
found nothing new, was refused by the gate or broke. A round in which nothing could have come out differently from the
last one is not repeated: it says since when there is nothing new.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bundles import BundleStore
from bot.core.errors import BotError, IntegrityError, NotFound
from bot.core.events import Recorded
from training import findings
from training.gate.evidence import Tests
from training.gather import Sources, read_log
from training.harvest import Ground, Harvest, harvest
from training.labels import RULES_FILE, RuleBook
from training.learn_request import LearnRequest as LearnRequest
from training.lesson import Lesson, Stage, lessons, stamp, write
from training.pages import learn_pages
from training.privacy import VERSION
from training.progress import Progress, part, silent
from training.replay import Replay, Today
from training.runs import Runs, key_of
from training.searching import Searching
from training.snapshots import SNAPSHOTS, Lineage, Snapshot, SnapshotStore, names_of
from training.train import TrainRequest, TrainResult, train_project
from training.workshop import Workshop

if TYPE_CHECKING:
    from training.speaking import Speaking

LESSONS, RUNS, REPORTS = "learn", "runs", "reports"


@dataclass(frozen=True, slots=True)
class Learned:
    """A round: what is written, and where its page is."""

    lesson: Lesson
    page: Path
    result: TrainResult | None = None


def learn(
    request: LearnRequest, workshop: Workshop, progress: Progress = silent, clock: Callable[[], float] = time.time
) -> Learned:
    """One round. What goes wrong is written down too, then raised.

    Raises:
        BotError: files that cannot be read, another training at work, a bundle promoted meanwhile.
    """
    found = _Round(request, workshop, progress, clock)
    try:
        found.run()
        found.ask()
    except BotError as error:
        found.ends("failed", "Learning broke off; the bundle in use stays.", (str(error),))
        found.write()
        raise
    return Learned(found.lesson, found.write(), found.result)


def nightly(
    once: Callable[[], Learned], wait: Callable[[], None], told: Callable[[Learned | BotError], None]
) -> Iterator[None]:
    """Round after round; what goes wrong is told, and the next night comes. Yields after each round."""
    while True:
        wait()
        try:
            told(once())
        except BotError as error:
            told(error)
        yield


def seconds_until(every: str, now: float) -> float:
    """How long to wait for the next round: `night` is three o'clock local time, a number is hours.

    Raises:
        ValueError: it is neither.
    """
    if every == "night":
        at = datetime.fromtimestamp(now)
        three = at.replace(hour=3, minute=0, second=0, microsecond=0).timestamp()
        return three - now if three > now else three + 86_400 - now
    hours = float(every)
    if not 0 < hours < 10_000:
        raise ValueError(f"expected hours above 0, found {every}")
    return hours * 3600


class _Round:
    """One round: `run` does the work and leaves `lesson`."""

    def __init__(
        self, request: LearnRequest, workshop: Workshop, progress: Progress, clock: Callable[[], float]
    ) -> None:
        self.request, self.workshop, self.progress = request, workshop, progress
        self.store = BundleStore(request.models)
        self.snapshots = SnapshotStore(request.state / SNAPSHOTS)
        most = request.project.settings.learning.replay_per_intent
        self.replay = Replay(request.state, most, request.vectors)
        self.result: TrainResult | None = None
        self.plays: list[Tests | None] = []
        self.speaking: Speaking | None = None
        at = self._at = clock()
        name = f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H%M%S}"
        self.folder = request.state / LESSONS / name
        self.lesson = Lesson(
            at=stamp(at),
            outcome="failed",
            headline="",
            name=request.project.settings.name,
            place=str(request.project.root),
            stages=request.before,
        )
        self.last, self.last_id = self._last(), self.store.pointer()

    def run(self) -> None:
        """Read top to bottom."""
        with self._alone():  # nobody is erased between the reading of the log and the writing of the snapshot
            read = self._read()
        if read is None:
            return
        found, snapshot = read
        searching = self._pages(found)
        self.add(inputs=self._inputs(snapshot, searching))
        if self.last is not None and self.last.inputs == self.lesson.inputs:
            return self._nothing_new(self.last, snapshot)
        found.signals.book.save(self.request.state / RULES_FILE)
        with self._stage("candidate", 0.25) as said:
            result = self.result = train_project(
                self._training(snapshot, searching), self.workshop, self._part(0.25, 0.98)
            )
            said(f"trained and judged, bundle {result.bundle.id}")
        self.add(**findings.judged(result, self.plays, self.folder))
        self.ends(*findings.verdict(result, self.plays, self.request.dry_run, self._on_trial))
        self._keep(snapshot)

    def _read(self) -> tuple[Harvest, Snapshot] | None:
        """From log to snapshot; None if there is nothing to learn."""
        request = self.request
        with self._stage("conversations", 0.0) as said:
            imported = _import(request)
            history = read_log(request.log) if request.log.exists() else []
            said(f"{len({item.conversation for item in history})} in the log, {imported} new")
        with self._stage("labels", 0.05) as said:
            book = RuleBook.load(request.state / RULES_FILE)
            found = harvest(history, self._ground(book, self._today(history, book)))
            self.add(findings.heard(history, found, imported), **findings.labelled(found))
            again = f", {found.replayed} messages kept of conversations that are gone" if found.replayed else ""
            said(f"{len(found.logged)} labels, {sum(row.human for row in found.logged)} of them by people{again}")
        if not found.logged:
            self.ends("nothing to learn", *_nothing_to_learn(history))
            return None
        self.speaking = self._replies()
        with self._stage("snapshot", 0.2) as said:
            snapshot = self._snapshot(found, history)
            self.add(snapshot=snapshot.id, position=snapshot.dataset.position)
            said(f"{len(snapshot.rows)} rows, {snapshot.id[:12]}")
        return found, snapshot

    def ask(self) -> None:
        """Choose what people should look at next."""
        review = self.request.review
        if review is None or self.lesson.outcome == "nothing to learn" or self.store.pointer() is None:
            return
        with self._stage("to look at", 0.99) as said:
            asks = tuple(review.draw())
            self.add(asks=asks, review=review.command if asks else "")
            said(f"{len(asks)} messages that would teach most")

    def _replies(self) -> Speaking | None:
        """What the log says of how people word answers."""
        if self.request.speaking is None:
            return None
        with self._stage("replies", 0.15) as said:
            found = self.request.speaking()
            said("no generator is named" if found is None else found.replies.told())
        return found

    def _pages(self, found: Harvest) -> Searching | None:
        """What the log says of the pages of the knowledge base."""
        index = self.request.index
        if index is None:
            return None
        with self._stage("pages", 0.22) as said:
            documents = {chunk.id: chunk.document for chunk in index.chunks}
            pages = learn_pages(found, index, documents, self.request.project.program)
            said(f"{len(pages.pairs)} questions with the page that answers them, for {len(pages.wishes)} wishes")
        return Searching(index, index.embedder, pages)

    def add(self, *parts: Mapping[str, object], **more: object) -> None:
        """Fields of the lesson that are known now."""
        for fields in (*parts, more):
            self.lesson = self.lesson.model_copy(update=dict(fields))

    def ends(self, outcome: str, headline: str, reasons: Sequence[str] = ()) -> None:
        """How the round ended."""
        self.add(outcome=outcome, headline=headline, reasons=tuple(reasons))

    def write(self) -> Path:
        """Write the verdict and the page."""
        self.progress(1.0, "done")
        return write(self.folder, self.lesson)

    @contextmanager
    def _stage(self, name: str, share: float) -> Iterator[Callable[[str], None]]:
        """A step, timed; told what it found, it is part of the lesson."""
        started = time.monotonic()
        self.progress(share, name)
        words: list[str] = []
        yield words.append
        took = round(time.monotonic() - started, 1)
        self.add(stages=(*self.lesson.stages, Stage(name=name, said=" ".join(words), seconds=took)))

    def _part(self, low: float, high: float) -> Progress:
        return part(self.progress, low, high)

    @property
    def _on_trial(self) -> bool:
        """Whether the candidate is tried first; the very first bundle has nothing to be tried against."""
        return self.request.trial and self.last_id is not None

    def _last(self) -> Lesson | None:
        """The last round that came to a verdict, unless another bundle was put to use since.

        One that was taken back is not made again of the same conversations.
        """
        done = [lesson for _, lesson in lessons(self.request.state / LESSONS) if lesson.outcome in _DONE]
        if not done:
            return None
        last, moves = done[-1], self.store.history()
        since = bool(moves) and moves[-1].action == "promote" and moves[-1].at >= last.at
        return None if since and moves[-1].id != last.bundle else last

    def _ground(self, book: RuleBook, today: Today) -> Ground:
        taught, not_before = self._known_to_current()
        request, again = self.request, self.replay.recalled(today)
        return Ground(request.project, book, request.vectors, request.split, taught, not_before, again, self._at)

    def _today(self, history: Sequence[Recorded], book: RuleBook) -> Today:
        return Today(history, self.request.project.settings.privacy, self._at, book)

    def _keep(self, snapshot: Snapshot) -> None:
        """Keep some of what taught a proven bundle. The log is read again: somebody may have been erased since."""
        with self._alone():
            today = self._today(read_log(self.request.log), RuleBook.load(self.request.state / RULES_FILE))
            rows = [row for row in snapshot.rows if not row.passages]  # replies are learned while the talk is there
            self.replay.keep(rows, today, more=self.lesson.outcome in _PROVEN)

    def _alone(self) -> AbstractContextManager[None]:
        return Runs(self.request.state / RUNS).alone(self.progress)

    def _known_to_current(self) -> tuple[frozenset[str], float]:
        """The rows that the bundle in use was trained on: they must not measure its successor.

        A bundle that was made of the log without a snapshot does not say which; then it is all that was there.
        """
        current = self.store.pointer()
        if current is None:
            return frozenset(), 0.0
        try:
            manifest, names = self.store.open(current).manifest, names_of(self.store, current)
        except (IntegrityError, NotFound):
            return frozenset(), 0.0
        rows = [row for name in names for row in self.snapshots.rows_of(name)]
        plain = any(item.name in _OF_LOG for card in manifest.skills.values() for item in card.data)
        made = datetime.fromisoformat(manifest.created).timestamp()
        return frozenset(row.id for row in rows if row.side == "train"), made if plain else 0.0

    def _snapshot(self, found: Harvest, history: Sequence[Recorded]) -> Snapshot:
        current = self.store.pointer()
        parents = names_of(self.store, current) if current is not None else ()
        lineage = Lineage(
            parents=parents,
            filter="examples of the project; turns of the log that a person or a trusted rule labelled",
            masker=VERSION,
            licence="the project's own; conversations may be used as their consent says",
            salt=self.request.split.salt,
            since=found.since,
            position=max((item.position for item in history), default=0),
        )
        spoken = () if self.speaking is None else self.speaking.replies.rows
        return self.snapshots.create((*found.rows, *spoken), lineage)

    def _inputs(self, snapshot: Snapshot, searching: Searching | None) -> str:
        """The digest of all that could change the result: rows, pages, project, options, encoder."""
        project = self.request.project
        policy = self.request.policy
        said = repr((project.program.id, project.nlu, sorted(policy.critical), sorted(policy.waived), policy.release))
        rows = sorted((row.id, row.text, row.intent, str(row.tags)) for row in snapshot.rows)
        return key_of(
            {
                "rows": hashlib.sha256(repr(rows).encode()).hexdigest(),
                "replies": "" if self.speaking is None else self.speaking.key,
                "pages": "" if searching is None else searching.pages.described().sha256,
                "project": hashlib.sha256(said.encode()).hexdigest(),
                "fit": asdict(self.request.fit),
                "encoder": self.workshop.fingerprint,
            }
        )

    def _training(self, snapshot: Snapshot, searching: Searching | None) -> TrainRequest:
        request = self.request
        return TrainRequest(
            models=request.models,
            sources=Sources(request.project, request.log, snapshot=snapshot),
            fit=request.fit,
            split=request.split,
            promote=not (request.dry_run or self._on_trial),
            by=request.by or "bot learn",
            policy=request.policy,
            play=self._play if request.play is not None else None,
            reports=request.state / REPORTS,
            runs=Runs(request.state / RUNS),
            searching=searching,
            speaking=self.speaking,
            past=request.past,
        )

    def _play(self, folder: Path) -> Tests | None:
        """Play the tests and remember what came of it: the candidate first, then the bundle in use."""
        assert self.request.play is not None
        found = self.request.play(folder)
        self.plays.append(found)
        return found

    def _nothing_new(self, last: Lesson, snapshot: Snapshot) -> None:
        more = snapshot.dataset.position - last.position
        said = f"{more} new facts in the log label nothing new" if more else "the log has not grown"
        was = _WAS[last.outcome]
        if last.outcome == "promoted" and self.store.pointer() != last.bundle:
            was = "put to use and taken back since"
        self.add(since=last.at, bundle=last.bundle)
        self.ends(
            "nothing new",
            f"Nothing new to learn since {last.at[:16].replace('T', ' ')}.",
            (
                f"{said}, and the project is as it was",
                f"what is known was learned then; the result was {was}: {last.headline}",
            ),
        )


_OF_LOG = ("reviewed turns", "signals")
"""What a manifest calls rows of the log that are of no snapshot."""
_WAS = {"promoted": "put to use", "on trial": "tried on a part of the conversations", "kept back": "kept back"}
_DONE = tuple(_WAS)
_PROVEN = ("promoted", "on trial")


def _import(request: LearnRequest) -> int:
    """Bring the named files into the log; how many conversations were new."""
    from bot.store import SqlStore
    from training.importer import import_file

    async def run() -> int:
        async with SqlStore(request.log) as store:
            return sum([(await import_file(path, store)).written for path in request.logs])

    return asyncio.run(run()) if request.logs else 0


def _nothing_to_learn(history: Sequence[Recorded]) -> tuple[str, tuple[str, ...]]:
    if not history:
        todo = "bring logged conversations in (bot learn --logs FILE), or let people talk to the bot (bot serve)"
        return "There are no conversations to learn from.", (todo,)
    why = f"{len({item.conversation for item in history})} conversations hold no correction, click or other sign"
    return "No conversation says what would have been right.", (why, "look at some: bot review")
