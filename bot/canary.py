"""The canary in a running bot: two bundles, one encoder, and the eye on what the candidate does.

`Canary.look` is called every second. It takes up a canary that was begun (by the command line, or before a restart),
counts what the log tells, and takes the candidate back, gives it more, or promotes it, as `bot.rollout.move` says.
Several bots may serve one project: each counts the whole log, the first to decide writes it down, and the others follow
within a second. Only what was scored silently is each one's own.
While no canary runs, a turn does nothing for it: no watcher is registered, and the manager has no choice to make.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from bot.bundles import BundleStore
from bot.canary_silent import Candidate as Candidate
from bot.canary_silent import Silent
from bot.core import events as ev
from bot.core.errors import BotError, IntegrityError
from bot.harm import SIGNS, WEIGHTS, Tally
from bot.manager import Manager
from bot.models import Models
from bot.rollout import (
    BASELINE,
    CANDIDATE,
    Figures,
    Rollout,
    RolloutFile,
    Shadow,
    Stage,
    State,
    move,
    next_stage,
    over,
    place,
)
from bot.sequential import harm, harmless

_log = structlog.get_logger("understudy.canary")
_PAGE = 1000
_SAVED_EVERY = 5.0
"""Seconds between writes of counts alone."""
_RETIRED_AFTER = 120.0
"""Seconds that the models of a canary that is over are kept for turns under way."""
_GOES_ON = ("running", "promoted")
"""A promoted candidate is still a trial until the models in use have followed the pointer."""


class Log(Protocol):
    """What is read of the log."""

    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[ev.Recorded]:
        """See `SqlStore.tail`."""
        ...

    async def last_position(self) -> int:
        """See `SqlStore.last_position`."""
        ...


@dataclass(slots=True)
class _Trial:
    """A canary under way."""

    rollout: Rollout
    candidate: Candidate
    tally: Tally
    shadow: Silent
    models: Models
    base: Models
    unwatch: Callable[[], None]


class Canary:
    """Looks after canaries. `load` loads a bundle; it is called in a thread. `clock` gives seconds since 1970."""

    def __init__(
        self,
        manager: Manager,
        log: Log,
        bundles: BundleStore,
        load: Callable[[str], Candidate],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._manager, self._log, self._bundles, self._load, self._clock = manager, log, bundles, load, clock
        self._file = RolloutFile(bundles)
        self._stamp: tuple[int, int] | None = None
        self._trial: _Trial | None = None
        self._retired: list[tuple[float, Candidate]] = []
        self._saved = 0.0
        self.latest: Rollout | None = None
        self.taken_back = 0

    async def look(self) -> None:
        """Take up what changed, and decide.

        Raises:
            BotError: the state cannot be read or written; what is in use stays.
        """
        stamp = self._file.stamp()
        if stamp != self._stamp or self._trial is not None:
            self._stamp = stamp
            await self._take_up(self._file.read())
        if self._trial is not None:
            await self._read(self._trial)
            self._judge(self._trial)
        self._close_retired(self._clock() - _RETIRED_AFTER)

    async def stop(self) -> None:
        """End the candidate's threads; the canary goes on at the next start."""
        if self._trial is not None:
            self._keep(self._trial)
            self._leave()
        self._close_retired(float("inf"))

    def figures(self) -> Mapping[str, float]:
        """What metrics tell: names without a prefix."""
        found = self.latest
        if found is None:
            return {}
        talks = [sum(stage.talks[arm] for stage in found.stages) for arm in (CANDIDATE, BASELINE)]
        return {
            "canary_share": found.share if found.state == "running" else 0.0,
            "canary_harm_evidence": found.harm,
            "canary_conversations": float(talks[CANDIDATE]),
            "canary_baseline_conversations": float(talks[BASELINE]),
            "canary_shadow_turns": float(found.shadow.turns),
            "canary_shadow_agreed": float(found.shadow.agreed),
            "canary_rollbacks_total": float(self.taken_back),
        }

    # Taking up and leaving

    async def _take_up(self, found: Rollout | None) -> None:
        self.latest = found
        trial = self._trial
        if trial is not None and found is not None and found.salt == trial.rollout.salt and found.state in _GOES_ON:
            self._follow(trial, found)
            return
        if trial is not None:
            _log.info("the canary ended", candidate=trial.rollout.candidate, state=found.state if found else "gone")
            self._leave()
        if found is None or found.state != "running":
            return
        if found.candidate == self._manager.models.bundle:  # promoted, and died before it was written down
            self._end(found, "promoted", "every stage was passed")
            return
        if self._bundles.pointer() != found.baseline:
            self._overtaken(found)
            return
        try:
            candidate = await asyncio.to_thread(self._load, found.candidate)
        except BotError as error:
            self._end(found, "rolled_back", f"hard errors: the bundle cannot be loaded: {error}")
            return
        await self._start(found, candidate)

    async def _start(self, rollout: Rollout, candidate: Candidate) -> None:
        """Give conversations the candidate, and count what the log tells since the canary began."""
        if rollout.stages[0].position < 0:
            position = await self._log.last_position()
            first = rollout.stages[0].model_copy(update={"position": position})
            rollout = self._written(rollout, lambda it: _begun(it, first))
            if rollout.state != "running":
                candidate.close()
                return
        base, silent = self._manager.models, Silent(candidate, rollout)
        trial = _Trial(
            rollout,
            candidate,
            _tally(rollout),
            silent,
            _with(base, candidate),
            base,
            self._manager.followers.watch(silent.see),
        )
        self._trial = trial
        self._choose(trial)
        _log.info("the canary runs", candidate=rollout.candidate, share=rollout.share)

    def _follow(self, trial: _Trial, found: Rollout) -> None:
        """Go on where another bot, which serves the same project, has brought the canary."""
        if len(found.stages) == len(trial.rollout.stages):
            return
        trial.rollout, trial.tally = found, _tally(found)
        trial.shadow.share = found.plan.shadow
        self._choose(trial)
        _log.info("the canary goes on", candidate=found.candidate, share=found.share, reason="another bot decided")

    async def _read(self, trial: _Trial) -> None:
        """Count what was committed since, by this bot or by another."""
        while page := await self._log.tail(trial.tally.position, _PAGE):
            trial.tally.take(page)

    def _choose(self, trial: _Trial) -> None:
        """Have the manager ask for each turn whose turn it is."""
        share, salt, base, models = trial.rollout.share, trial.rollout.salt, trial.base, trial.models
        self._manager.select = lambda conversation: models if place(salt, conversation) < share else base

    def _leave(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            self._manager.select = None
            trial.unwatch()
            trial.shadow.stop()
            self._retired.append((self._clock(), trial.candidate))

    def _close_retired(self, before: float) -> None:
        for item in [item for item in self._retired if item[0] <= before]:
            self._retired.remove(item)
            item[1].close()

    # Deciding

    def _judge(self, trial: _Trial) -> None:
        if self._manager.models is not trial.base:  # the knowledge, or the program, was swapped
            if self._manager.models.bundle == trial.candidate.bundle:
                self._leave()
                return
            trial.base, trial.models = self._manager.models, _with(self._manager.models, trial.candidate)
            self._choose(trial)
        if trial.rollout.share == 1:  # promoted; the models in use follow within a second
            if self._bundles.pointer() != trial.candidate.bundle:
                self._leave()
            return
        if self._bundles.pointer() != trial.rollout.baseline:
            self._overtaken(trial.rollout)
            return
        trial.rollout = counted(trial.rollout, trial.tally, trial.shadow.found())
        self.latest = trial.rollout
        step, reason = move(_figures(trial.rollout, self._clock()), trial.rollout.plan)
        if step == "rollback":
            self._end(trial.rollout, "rolled_back", reason)
        elif step == "advance":
            self._advance(trial, reason)
        elif self._clock() - self._saved >= _SAVED_EVERY:
            self._keep(trial)

    def _advance(self, trial: _Trial, reason: str) -> None:
        now = self._clock()
        further = next_stage(trial.rollout, now, trial.tally.position)
        if further.share < 1:
            if self._written(trial.rollout, _unless_decided(trial.rollout, further)) == further:
                trial.rollout = further
                trial.tally.next_stage()
                trial.shadow.share = further.plan.shadow
                self._choose(trial)
                _log.info("the canary goes on", candidate=further.candidate, share=further.share, reason=reason)
            return
        if (self._file.read() or further).state != "running":
            return  # another bot has just taken it back
        try:
            said = f"evidence of harm {further.harm:.2g}"
            self._bundles.promote(further.candidate, "canary", verdict=said, replacing=further.baseline)
        except IntegrityError as error:
            self._end(trial.rollout, "rolled_back", f"hard errors: the bundle was damaged meanwhile: {error}")
            return
        ended = over(further, "promoted", reason, now)
        self.latest = trial.rollout = self._written(trial.rollout, lambda _: ended)
        self._choose(trial)
        _log.info("the canary was promoted", candidate=further.candidate, reason=reason)

    def _overtaken(self, rollout: Rollout) -> None:
        """The pointer has moved: to the candidate, if another bot has just promoted it."""
        if self._bundles.pointer() == rollout.candidate:
            self._end(rollout, "promoted", "every stage was passed")
        else:
            self._end(rollout, "withdrawn", "another bundle was promoted meanwhile")

    def _end(self, rollout: Rollout, state: State, reason: str) -> None:
        """Stop giving conversations the candidate first; then write it down."""
        self._leave()
        ended = over(rollout, state, reason, self._clock())
        if state == "rolled_back":
            self.taken_back += 1
            _log.error("the canary was rolled back", candidate=rollout.candidate, reason=reason)
        else:
            _log.info("the canary ended", candidate=rollout.candidate, state=state, reason=reason)
        self.latest, self._stamp = ended, None  # if it cannot be written, the next look finds the same again
        self.latest = self._written(rollout, lambda _: ended)

    def _keep(self, trial: _Trial) -> None:
        if trial.rollout.state == "running":
            trial.rollout = counted(trial.rollout, trial.tally, trial.shadow.found())
            self._written(trial.rollout, _unless_decided(trial.rollout, trial.rollout))

    def _written(self, rollout: Rollout, change: Callable[[Rollout], Rollout]) -> Rollout:
        found = self._file.update(rollout.salt, change)
        self._saved = self._clock()
        if found.salt == rollout.salt:
            self._stamp = self._file.stamp()
        return found


def counted(rollout: Rollout, tally: Tally, shadow: Shadow) -> Rollout:
    """The state with what was counted, and what that is worth."""
    shares = [stage.share for stage in rollout.stages]
    stages = tuple(
        stage.model_copy(
            update={
                "talks": tuple(tally.talks[n].tolist()),
                "harmed": {sign: tuple(tally.harmed[k, n].tolist()) for k, sign in enumerate(SIGNS)},
            }
        )
        for n, stage in enumerate(rollout.stages)
    )
    changes = {
        "stages": stages,
        "turns": tuple(tally.turns),
        "errors": tuple(tally.errors),
        "harm": float(harm(tally.harmed, shares, WEIGHTS)),
        "harmless": float(harmless(tally.harmed[0], shares)),
        "shadow": shadow,
    }
    return rollout.model_copy(update=changes)


def _figures(rollout: Rollout, now: float) -> Figures:
    stage = rollout.stages[-1]
    return Figures(
        harm=rollout.harm,
        harmless=rollout.harmless,
        talks=stage.talks[CANDIDATE],
        seconds=now - stage.at,
        turns=rollout.turns,
        errors=rollout.errors,
        share=stage.share,
        silent=rollout.shadow.turns,
        silent_errors=rollout.shadow.errors,
    )


def _with(models: Models, candidate: Candidate) -> Models:
    search = candidate.retrieve or models.retrieve
    return replace(
        models, bundle=candidate.bundle, understand=candidate.understand, rank=candidate.rank, retrieve=search
    )


def _begun(rollout: Rollout, first: Stage) -> Rollout:
    """With its first stage begun, unless another bot was quicker."""
    if rollout.stages[0].position >= 0:
        return rollout
    return rollout.model_copy(update={"stages": (first, *rollout.stages[1:])})


def _tally(rollout: Rollout) -> Tally:
    """Nothing is counted yet."""
    return Tally(_arms(rollout), [stage.position for stage in rollout.stages])


def _unless_decided(known: Rollout, wanted: Rollout) -> Callable[[Rollout], Rollout]:
    """Write what is wanted, unless another bot has gone on since the state that is known."""
    return lambda found: wanted if len(found.stages) == len(known.stages) else found


def _arms(rollout: Rollout) -> Callable[[str, int], int]:
    """Who has a conversation in a stage. Stages that come later follow the plan."""
    shares = [stage.share for stage in rollout.stages]
    shares += [share for share in rollout.plan.shares if share > shares[-1]]
    return lambda conversation, stage: rollout.arm(conversation, shares[stage])
