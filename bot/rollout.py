"""A canary: a candidate bundle answers a growing part of the conversations until it is proven, or is taken back.

The state is one small file, `ROLLOUT`, beside the pointer CURRENT, which stays on the baseline until the end. A
conversation has the candidate if the hash of its id lies below the share; so it is stable over turns and restarts, and
raising the share takes nobody's candidate away. Counts in the file are for reading: a restarted bot counts the log
again from the position where the canary began.

`bot.sequential` says what the evidence is worth, `bot.harm` what is counted, `bot.canary` does it in a running bot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from bot.bundles import BundleStore
from bot.core.errors import Conflict, InputError, IntegrityError, NotFound
from bot.core.messages import Value

FILE = "ROLLOUT"
FORMAT = 1
State = Literal["running", "promoted", "rolled_back", "withdrawn"]
CANDIDATE, BASELINE = 0, 1
"""The arms."""


class Plan(Value):
    """How a canary goes on.

    A stage of `shares` is over when so many of `conversations` have had the candidate in it (the last number holds for
    all further stages) and `minutes` have passed, or when its harmlessness is proven; after the last one the candidate
    is promoted. It is rolled back when the e-value of harm
    reaches `evidence`, or when its own models failed in `errors` conversations. While the e-value of harm is above
    `doubt`, no stage ends. `shadow` is the part of the baseline's turns that the candidate scores silently; with
    `silent`, so many turns are scored before the first conversation gets the candidate.
    """

    shares: tuple[float, ...] = (0.01, 0.1, 0.5)
    conversations: tuple[Annotated[int, Field(ge=1)], ...] = (20, 100, 300)
    minutes: float = Field(default=10.0, ge=0)
    evidence: float = Field(default=20.0, gt=1)
    doubt: float = 4.0
    errors: int = Field(default=3, ge=1)
    shadow: float = Field(default=0.1, ge=0, le=1)
    silent: int = Field(default=0, ge=0)

    def needed(self, share: float) -> int:
        """How many conversations must have had the candidate at this share."""
        return self.conversations[min(self.shares.index(share), len(self.conversations) - 1)]


class Stage(Value):
    """A share of the conversations (0: none yet, 1: all), since when (seconds since 1970), and where in the log.

    `position` is -1 until a running bot has begun the stage. `talks` are conversations, candidate first; `harmed` are
    those with a sign of harm, by sign, each counted once.
    """

    share: float
    at: float
    position: int = -1
    talks: tuple[int, int] = (0, 0)
    harmed: dict[str, tuple[int, int]] = {}


class Shadow(Value):
    """Turns that the candidate scored silently, and how it compares with what was answered.

    `agreed`: the same intent was acted on, or none. `abstained`: none was accepted by the candidate, by the baseline.
    `p50` and `p95` are seconds that the candidate took, waiting for its turn included; `missed` turns were not scored
    because it was busy.
    """

    turns: int = 0
    agreed: int = 0
    abstained: tuple[int, int] = (0, 0)
    errors: int = 0
    missed: int = 0
    p50: float = 0.0
    p95: float = 0.0


class Rollout(Value):
    """A canary under way or over. Pairs are candidate, baseline. Times are seconds since 1970."""

    format: int = FORMAT
    candidate: str
    baseline: str
    salt: str
    state: State = "running"
    plan: Plan
    started: float
    stages: tuple[Stage, ...]
    turns: tuple[int, int] = (0, 0)
    errors: tuple[int, int] = (0, 0)
    harm: float = 1.0
    harmless: float = 1.0
    shadow: Shadow = Shadow()
    ended: float | None = None
    reason: str = ""

    @property
    def share(self) -> float:
        """The candidate's share now."""
        return self.stages[-1].share if self.state == "running" else float(self.state == "promoted")

    def arm(self, conversation: str, share: float) -> int:
        """Who has the conversation at this share."""
        return CANDIDATE if place(self.salt, conversation) < share else BASELINE

    def told(self) -> str:
        """One sentence for people."""
        talks = [sum(stage.talks[arm] for stage in self.stages) for arm in (CANDIDATE, BASELINE)]
        harmed = [sum(stage.harmed.get("any", (0, 0))[arm] for stage in self.stages) for arm in (CANDIDATE, BASELINE)]
        seen = (
            f"signs of harm in {harmed[0]} of {talks[0]} conversations with it, {harmed[1]} of {talks[1]} without it; "
            f"evidence of harm {self.harm:.2g} (taken back at {self.plan.evidence:g})"
        )
        if self.shadow.turns:
            same = self.shadow.agreed / self.shadow.turns
            seen += f"; the same as the baseline in {same:.0%} of {self.shadow.turns} turns scored silently"
        if self.state == "running":
            return f"{self.candidate} has {self.share:.0%} of the conversations; {seen}"
        when = datetime.fromtimestamp(self.ended or 0.0, UTC).isoformat(timespec="seconds")
        return f"{self.candidate} was {self.state.replace('_', ' ')} at {when}: {self.reason}; {seen}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a step is decided on. `talks` are the candidate's conversations of the stage, `seconds` its age."""

    harm: float
    harmless: float
    talks: int
    seconds: float
    share: float
    turns: tuple[int, int] = (0, 0)
    errors: tuple[int, int] = (0, 0)
    silent: int = 0
    silent_errors: int = 0


Move = Literal["stay", "advance", "rollback"]


def move(found: Figures, plan: Plan) -> tuple[Move, str]:
    """What to do now, and why."""
    if found.harm >= plan.evidence:
        return "rollback", f"harm: the e-value is {found.harm:.3g}, the limit {plan.evidence:g}"
    if found.errors[0] >= plan.errors and _failing_more(found):
        return "rollback", f"hard errors: its models failed in {found.errors[0]} conversations"
    if found.silent_errors >= plan.errors:
        return "rollback", f"hard errors: its models failed in {found.silent_errors} turns scored silently"
    if found.harm >= plan.doubt or found.seconds < 60 * plan.minutes:
        return "stay", ""
    if found.share == 0:
        return ("advance", f"{found.silent} turns were scored") if found.silent >= plan.silent else ("stay", "")
    if found.talks >= plan.needed(found.share):
        return "advance", f"{found.talks} conversations had it, and nothing speaks for harm"
    if found.harmless >= plan.evidence:
        return "advance", f"it is harmless: the e-value is {found.harmless:.3g}"
    return "stay", ""


def _failing_more(found: Figures) -> bool:
    """Whether the candidate fails three times as often as the baseline; a machine in trouble fails in both arms."""
    candidate, baseline = (errors / max(turns, 1) for errors, turns in zip(found.errors, found.turns, strict=True))
    return candidate > 3 * baseline


def place(salt: str, conversation: str) -> float:
    """Where a conversation lies between 0 and 1: a hash, so without memory the same for ever."""
    digest = blake2b(f"{salt}\n{conversation}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class RolloutFile:
    """The state beside the pointer. Reading takes no lock; writing takes that of the bundles."""

    def __init__(self, bundles: BundleStore) -> None:
        self._bundles, self.path = bundles, bundles.root / FILE

    def read(self) -> Rollout | None:
        """The latest canary, or None if there never was one.

        Raises:
            IntegrityError: the file is not what we write.
        """
        try:
            return Rollout.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise IntegrityError(str(self.path), "is not the state of a canary; remove it, and start again") from error

    def stamp(self) -> tuple[int, int] | None:
        """Changes when the file does, at the price of one `stat`."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def begin(self, candidate: str, now: float, plan: Plan | None = None, reason: str = "", by: str = "") -> Rollout:
        """Start a canary; running bots take it up within a second. `now` is seconds since 1970.

        Raises:
            NotFound: there is no such bundle, or none in use to compare it with.
            Conflict: another canary runs, or the bundle is in use already.
            InputError: the shares do not rise from above 0 to below 1.
        """
        plan = plan or Plan()
        rising = list(plan.shares) == sorted(set(plan.shares))
        if not plan.shares or not rising or not 0 < plan.shares[0] <= plan.shares[-1] < 1 or not plan.conversations:
            raise InputError(f"the shares of a canary must rise between 0 and 1, found {list(plan.shares)}")
        with self._bundles.lock():
            baseline, running = self._bundles.current(), self.read()
            if baseline is None:
                raise NotFound(f"no bundle is in use, so there is nothing to compare with; run: promote {candidate}")
            if running is not None and running.state == "running":
                raise Conflict(f"a canary of {running.candidate} runs already; end it with: bot models rollback")
            if baseline == candidate:
                raise Conflict(f"{candidate} is in use already")
            self._bundles.open(candidate)
            first = Stage(share=0.0 if plan.silent else plan.shares[0], at=now)
            salt = f"{candidate}.{now:.6f}"
            fresh = Rollout(candidate=candidate, baseline=baseline, salt=salt, plan=plan, started=now, stages=(first,))
            self._bundles.note("canary", candidate, (reason, by, f"share {first.share:g}"))
            self._write(fresh)
        return fresh

    def update(self, salt: str, change: Callable[[Rollout], Rollout]) -> Rollout:
        """Write a changed state, unless it is another canary's by now, or over; what the file says then."""
        with self._bundles.lock():
            found = self.read()
            if found is None:
                raise NotFound(f"{self.path} is gone")
            if found.salt != salt or found.state != "running":
                return found
            changed = change(found)
            if changed.state in ("rolled_back", "withdrawn"):
                self._bundles.note("withdraw", changed.candidate, (changed.reason, "", changed.state))
            self._write(changed)
        return changed

    def withdraw(self, reason: str, now: float) -> Rollout | None:
        """End a running canary by hand; None if none runs."""
        found = self.read()
        if found is None or found.state != "running":
            return None
        return self.update(found.salt, lambda it: over(it, "withdrawn", reason, now))

    def _write(self, rollout: Rollout) -> None:
        self._bundles.replace(self.path, rollout.model_dump_json(indent=1).encode() + b"\n")


def over(rollout: Rollout, state: State, reason: str, now: float) -> Rollout:
    """The canary as it ended."""
    return rollout.model_copy(update={"state": state, "reason": reason, "ended": now})


def next_stage(rollout: Rollout, now: float, position: int) -> Rollout:
    """One stage on; after the last share comes 1."""
    later = [share for share in rollout.plan.shares if share > rollout.stages[-1].share]
    stage = Stage(share=later[0] if later else 1.0, at=now, position=position)
    return rollout.model_copy(update={"stages": (*rollout.stages, stage)})
