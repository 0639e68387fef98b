"""The composition root: the one place that meets concrete classes.

`open_bot` gives a running bot for a project folder: log, models, knowledge, actions, manager. While it is open it looks
at the model and index pointers every second and swaps to a new bundle between turns; one that does not verify is
reported and not used, and the old one goes on serving. When somebody was erased, it drops what it remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

import structlog

from bot.bundles import Bundle, BundleStore, PointerWatch, unsealed
from bot.canary import Canary, Candidate
from bot.config import Settings
from bot.core.errors import BotError, NotFound
from bot.core.protocols import Hits, Query, Ranked, Situation, Understanding, Utterance
from bot.encoding import encoder_source as encoder_source
from bot.encoding import load_encoder as load_encoder
from bot.forgetting import Erasures, forget_texts
from bot.generating import Speaker, open_speaker
from bot.manager import Manager, ManagerLimits
from bot.models import Deadlines, Models
from bot.project import Project, load_project
from bot.reminders import Reminders
from bot.runner import Memory, Runner, RunnerLimits
from bot.sdk.choose import ActionSource, Others
from bot.searcher import Searcher, sameness
from bot.store import SqlStore
from bot.turns import Timing, unobserved
from retrieval.projection import SKILL as PROJECTION
from retrieval.projection import QueryProjection, owner_of
from retrieval.search import KnowledgeIndex
from skills.encoder import Encoder
from skills.ranking import ActionRanking
from skills.understanding import Understander

if TYPE_CHECKING:
    from bot.voice import Voice

_log = structlog.get_logger("understudy.app")
LOOK_EVERY = 1.0
"""Seconds between looks at the pointers."""
_PATIENCE = 60.0
"""Seconds that models get where nobody waits."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a caller may choose. `log` replaces the project's log file; `observe` is told how long each stage took.

    `actions` is a module of the project whose rasa-sdk actions run in this process. `remind`: trigger what falls due.
    `patient`: models may take as long as they like, for work that nobody waits for at the other end. `voice`: listen
    and speak; otherwise by the settings, where `watch`. `models` is a folder of skills to run instead of the bundle in
    use, `encoder` one that is loaded already.
    """

    log: Path | None = None
    actions: str | None = None
    observe: Callable[[Timing], None] = unobserved
    watch: bool = False
    remind: bool = False
    patient: bool = False
    voice: bool = False
    models: Path | None = None
    encoder: Encoder | None = None


AnyRunner = Runner[Utterance, Understanding] | Runner[Query, Hits] | Runner[Situation, Ranked]


@dataclass(slots=True)
class Loaded:
    """Models in use and the threads that run them."""

    project: Project
    bundle: Bundle
    index: KnowledgeIndex | None
    models: Models
    runners: tuple[AnyRunner, ...]
    others: Others
    encoder: Encoder
    speaker: Speaker | None = None

    async def with_speaker(self) -> Loaded:
        """These models with what words their answers; slow the first time. Raises as `open_speaker`, closed then."""
        settings = self.project.settings
        state = settings.state_folder(self.project.root)
        try:
            self.speaker = await open_speaker(settings.generator, self.bundle.path, state, self.encoder)
        except BotError:
            await self.close()
            raise
        if self.speaker is not None:
            program = self.models.program.model_copy(update={"generates": True})
            self.models = replace(self.models, program=program, generate=self.speaker.wording.word)
        return self

    async def close(self) -> None:
        """End the threads."""
        for runner in self.runners:
            runner.close()
        if self.speaker is not None:
            await self.speaker.close()
        await self.others.close()


@dataclass(slots=True)
class Bot:
    """A running bot."""

    root: Path
    settings: Settings
    store: SqlStore
    manager: Manager
    loaded: Loaded
    encoder: Encoder
    source: ActionSource
    retired: list[Loaded] = field(default_factory=list)
    canary: Canary | None = None
    beside: tuple[ref[AnyRunner], ...] = ()
    observe: Callable[[Timing], None] = unobserved
    voice: Voice | None = None

    async def give_voice(self) -> None:
        """Load what listens and speaks; it stays when models are swapped. Raises as `open_voice`."""
        from bot.voice import open_voice

        self.voice = await open_voice(self)
        self.manager.models = self.voice.ears(self.loaded.models)

    async def swap(self, loaded: Loaded) -> None:
        """New turns use other models; turns under way keep theirs, so the old threads end one swap later."""
        for old in self.retired:
            await old.close()
        self.retired = [self.loaded]
        self.loaded = loaded
        self.manager.models = self.voice.ears(loaded.models) if self.voice else loaded.models
        _log.info("models swapped", bundle=loaded.bundle.id, index=loaded.index is not None)

    async def forget(self) -> None:
        """Drop what is remembered of texts and of conversations at rest; the log has what it still may have."""
        self.encoder.forget()
        forget_texts()
        for speaker in (loaded.speaker for loaded in (*self.retired, self.loaded)):
            if speaker is not None:
                await speaker.forget()
        own = [runner for loaded in (*self.retired, self.loaded) for runner in loaded.runners]
        for runner in (*own, *(one() for one in self.beside)):
            if runner is not None:
                runner.forget()
        self.manager.forget()

    async def parse(self, text: str) -> Understanding:
        """Run the classifiers over one text, outside any conversation."""
        return await self.loaded.models.understand(Utterance(text=text, now=time.time()))


def model_store(settings: Settings, root: Path) -> BundleStore:
    """Where the project's model bundles are."""
    return BundleStore(settings.state_folder(root) / "models")


def index_folder(settings: Settings, root: Path) -> Path:
    """Where the project's knowledge indexes are."""
    return settings.state_folder(root) / "index"


def load_models(
    project: Project, encoder: Encoder, source: ActionSource | None = None, models: Path | None = None
) -> Loaded:
    """Verify and load the project's current bundle and index; its custom actions come from `source`.

    With `models`, the skills in that folder are run instead of the current bundle, unverified.

    Raises:
        NotFound: nothing has been trained yet.
        IntegrityError: a file differs from its manifest; names it.
    """
    root = project.root
    bundle = unsealed(models) if models else model_store(project.settings, root).open_current()
    if bundle is None:
        raise NotFound(f"no trained models in {project.settings.state_folder(root)}; run: bot train {root}")
    index = turned(load_index(project, encoder), bundle.path, encoder)
    understand, rank = _skills(bundle, project, encoder)
    search = None if index is None else _search(index, project)
    others = Others(project, source)
    use = Models(
        bundle=bundle.id,
        program=others.program.model_copy(update={"knowledge": index is not None}),
        understand=understand.run,
        retrieve=search.run if search else None,
        actions=others.actions,
        word=others.words.word if others.words else None,
        rank=rank.run if rank else None,
    )
    runners = tuple(runner for runner in (understand, search, rank) if runner is not None)
    return Loaded(project, bundle, index, use, runners, others, encoder)


def _kept(project: Project) -> int:
    """How many recent results a skill keeps; with some 8 KiB each, a quarter of what the encodings may take."""
    return project.settings.encoder.recent_mib << 5


def _runner_limits(project: Project) -> RunnerLimits:
    return RunnerLimits(max_batch=project.settings.runner.max_batch, deadline=project.settings.runner.deadline_s)


def _skills(
    bundle: Bundle, project: Project, encoder: Encoder
) -> tuple[Runner[Utterance, Understanding], Runner[Situation, Ranked] | None]:
    """What a bundle brings, each in a thread: understanding, and the ranking of actions if there is one."""
    understander = Understander.load(bundle.path, encoder, project.program, bundle.id)
    # Behind the first answers: most messages need none of it, and it would take a quarter of the start.
    threading.Thread(target=understander.warm_up, name="warm-up").start()
    ranking = load_ranking(bundle, project, encoder)
    limits = _runner_limits(project)
    memory = Memory(understander.sameness, _kept(project))
    return Runner(understander, limits, memory=memory), None if ranking is None else Runner(ranking, limits)


def _search(index: KnowledgeIndex, project: Project) -> Runner[Query, Hits]:
    """The index in a thread of its own."""
    return Runner(Searcher(index), _runner_limits(project), memory=Memory(sameness, _kept(project)))


def load_candidate(bot: Bot, bundle: str) -> Candidate:
    """A bundle's models beside those in use, on the same encoder.

    Raises:
        BotError: it cannot be loaded.
    """
    opened = model_store(bot.settings, bot.root).open(bundle)
    project, index = bot.loaded.project, bot.loaded.index
    understand, rank = _skills(opened, project, bot.encoder)
    turn = None if index is None else turned(index.projected(None), opened.path, bot.encoder)
    search = None if turn is None else _search(turn, project)
    runners: list[AnyRunner] = [runner for runner in (understand, rank, search) if runner is not None]
    bot.beside = (*(one for one in bot.beside if one() is not None), *map(ref, runners))

    def close() -> None:
        for runner in runners:
            runner.close()

    return Candidate(bundle, understand.run, rank.run if rank else None, close, search.run if search else None)


def patient(project: Project) -> Project:
    """The project with so much time for its models that a busy machine does not look like a hung one."""
    runner = project.settings.runner.model_copy(update={"deadline_s": _PATIENCE})
    return replace(project, settings=project.settings.model_copy(update={"runner": runner}))


def load_index(project: Project, encoder: Encoder) -> KnowledgeIndex | None:
    """The current knowledge index, or None when nothing has been ingested."""
    folder = index_folder(project.settings, project.root)
    return KnowledgeIndex.open(folder, encoder) if (folder / "CURRENT").exists() else None


def turned(index: KnowledgeIndex | None, bundle: Path, encoder: Encoder) -> KnowledgeIndex | None:
    """The index with the query projection of a bundle's folder, if there is one."""
    folder = bundle / PROJECTION
    if index is None or not folder.is_dir():
        return index
    return index.projected(QueryProjection.load(folder, owner_of(encoder.fingerprint)))


def load_ranking(bundle: Bundle, project: Project, encoder: Encoder) -> ActionRanking | None:
    """The learned ranking of a script's actions, if the script wants one and the bundle has it."""
    script, folder = project.program.script, bundle.path / ActionRanking.name
    wanted = script is not None and script.ranks and folder.is_dir()
    return ActionRanking.load(folder, encoder, bundle.id) if wanted else None


@contextlib.asynccontextmanager
async def open_bot(root: Path, wiring: Wiring | None = None) -> AsyncIterator[Bot]:
    """A running bot for a project folder; unfinished turns of an earlier run are finished first.

    Raises:
        BotError: see `load_models`; also when the log cannot be opened safely.
    """
    wiring = wiring or Wiring()
    project = patient(load_project(root)) if wiring.patient else load_project(root)
    settings = project.settings
    encoder = wiring.encoder or load_encoder(settings, root)
    source = ActionSource(wiring.actions)
    loaded = await load_models(project, encoder, source, wiring.models).with_speaker()
    path = wiring.log or settings.log_file(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    async with SqlStore(path) as store:
        manager = Manager(store, loaded.models, _limits(settings), observe=wiring.observe)
        bot = Bot(root, settings, store, manager, loaded, encoder, source, observe=wiring.observe)
        if wiring.voice or (wiring.watch and settings.voice.enabled):
            await bot.give_voice()
        if wiring.watch:
            bot.canary = await _canary(bot)
        watcher = asyncio.create_task(_watch(bot)) if wiring.watch else None
        reminders = Reminders(store, manager, path.with_name("reminders.json"), time.time) if wiring.remind else None
        try:
            await manager.recover()
            if reminders is not None:
                manager.followers.watch(reminders.see)
                await reminders.start()
            yield bot
        finally:
            if reminders is not None:
                await reminders.stop()
            await _stop(bot, watcher)


def _limits(settings: Settings) -> ManagerLimits:
    deadline = settings.runner.deadline_s
    return ManagerLimits(
        waiting=settings.queues.conversation,
        active=settings.queues.all,
        deadlines=Deadlines(
            deadline,
            deadline,
            settings.actions.deadline_s,
            settings.actions.words_deadline_s,
            rank=deadline,
            transcribe=max(settings.voice.deadline_s, deadline),
        ),
    )


async def _stop(bot: Bot, watcher: asyncio.Task[None] | None) -> None:
    if watcher is not None:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
    await bot.manager.drain()
    if bot.canary is not None:
        await bot.canary.stop()
    await bot.manager.close()
    for loaded in (*bot.retired, bot.loaded):
        await loaded.close()
    if bot.voice is not None:
        await bot.voice.close()


async def _watch(bot: Bot) -> None:
    """Swap when a pointer moves, forget when somebody was erased. What cannot be loaded is told once, the old stays."""
    erasures = Erasures(bot.settings.state_folder(bot.root))
    models = PointerWatch(model_store(bot.settings, bot.root), bot.loaded.bundle.id)
    index = index_folder(bot.settings, bot.root) / "CURRENT"
    seen = _content(index)
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if bot.canary is not None:
            await _look(bot.canary)
        if erasures.happened():
            await bot.forget()
        try:
            changed = models.changed() is not None
            found = _content(index)
            if changed or found != seen:
                seen = found
                loaded = await asyncio.to_thread(_load_again, bot)
                await bot.swap(await loaded.with_speaker())
        except BotError as error:
            _log.error("the new models are not used; the old ones go on serving", reason=str(error))


async def _canary(bot: Bot) -> Canary:
    """What looks after canaries; one that was under way goes on before the first message comes."""
    models = model_store(bot.settings, bot.root)
    canary = Canary(bot.manager, bot.store, models, lambda bundle: load_candidate(bot, bundle))
    await _look(canary)
    return canary


async def _look(canary: Canary) -> None:
    try:
        await canary.look()
    except BotError as error:
        _log.error("the canary stays as it is", reason=str(error))


def _load_again(bot: Bot) -> Loaded:
    return load_models(load_project(bot.root), bot.encoder, bot.source)


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
