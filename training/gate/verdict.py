"""What the gate says, as values. Written to `verdict.json`; `bare` is the part that may be kept for ever.

Texts of turns are quoted in a verdict, so that people can look at them; `bare` quotes none and holds no measured times,
so the same training gives the same bundle, and forgetting a person does not have to change a bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.messages import Value
from bot.manifest import Metric

Finding = Literal[
    "first", "better", "non-inferior", "worse", "inconclusive", "below floor", "unmeasured", "too few rows"
]
State = Literal["passed", "failed", "waived", "insufficient data"]
Release = Literal["normal", "patch"]
VERSION = 1
"""Of the gate's rules: verdicts of different versions cannot be compared."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a project demands.

    No turn of a `critical` intent may get worse. `waived` are names of checks (or intents) that a person, `by`, takes
    upon themselves. A "patch" must change less than a "normal" release. `improve`: no worse is not enough. `samples`
    are test files whose conversations are samples of what people write, no promises.
    """

    critical: frozenset[str] = frozenset()
    waived: frozenset[str] = frozenset()
    by: str = ""
    release: Release = "normal"
    improve: bool = False
    samples: frozenset[str] = frozenset()


class Comparison(Value):
    """One skill of the candidate against the current bundle, on the rows that both can be judged by.

    `change` is candidate minus current with its 95 % interval; `sure` its lower bound at 95 % (one-sided). `flips`
    were right before and are wrong now; `gains` the other way round. `p` is of the swap test over groups, `p_rows` of
    McNemar's exact test on single rows. `groups` is how many conversations (or sets of near-duplicates) the rows are
    of, `effect` the design effect: so many times fewer rows they are worth. `added` are labels that the current bundle
    does not know, `added_score` the candidate's figure on their rows.
    """

    skill: str
    metric: str
    finding: Finding
    candidate: Metric | None = None
    current: Metric | None = None
    change: Metric | None = None
    sure: float | None = None
    margin: float | None = None
    floor: float | None = None
    groups: int = 0
    effect: float = 1.0
    draws: int = 0
    flips: int = 0
    gains: int = 0
    p: float | None = None
    p_rows: float | None = None
    added: tuple[str, ...] = ()
    added_score: Metric | None = None


class Integrity(Value):
    """What a fresh process made of the candidate: share of rows predicted the same, largest change of a score."""

    passed: bool
    rows: int
    agreement: float
    largest_change: float


class Quote(Value):
    """Something to look at: a turn's text, or what else a check is about, and what is wrong with it."""

    text: str
    note: str = ""
    conversation: str = ""


class Check(Value):
    """One thing that the gate looked at. `sentence` is for people, with the numbers.

    `p` is of the one-sided swap test that a guarded figure got worse, judged with Holm's correction.
    """

    name: str
    state: State
    sentence: str
    examples: tuple[Quote, ...] = ()
    p: float | None = None


class Turn(Value):
    """A held-out row that changed sides: `right` is what a person says, `before` and `after` what the
    current bundle and the candidate say."""

    skill: str
    text: str
    right: str
    before: str
    after: str
    sureness: float
    where: str
    source: str
    conversation: str
    channel: str
    language: str
    critical: bool = False


class Slice(Value):
    """Some of the rows. `before` and `after` are accuracies, `change` has a 95 % interval.

    With 200 rows and more `p` is of the one-sided test that it got worse, judged with Holm's correction; with fewer,
    `chance` is the probability that it lost more than five points. Below 50 rows nothing is claimed.
    """

    kind: str
    name: str
    rows: int
    before: float
    after: float
    gains: int
    flips: int
    change: Metric
    p: float | None = None
    chance: float | None = None
    state: State


class Shift(Value):
    """How often rows of `right` were taken for `said`, before and after."""

    right: str
    said: str
    before: int
    after: int


class Point(Value):
    """Rows of similar confidence: mean confidence, share that is right, number of rows."""

    confidence: float
    accuracy: float
    rows: int


class PastTurn(Value):
    """A past turn whose next step is another one: what was done then, and what the candidate would do.

    `better` is what people's corrections say: None where nobody judged it, or both are wrong.
    """

    conversation: str
    turn: int
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    better: bool | None = None


class Past(Value):
    """Past conversations played again with the candidate: `turns` were looked at, those whose next step changes listed.

    `left_out` turns cannot be played again: a press, or too old a log.
    """

    turns: int
    conversations: int
    left_out: int = 0
    changed: tuple[PastTurn, ...] = ()


class Pictures(Value):
    """What the page draws besides the figures."""

    shifts: tuple[Shift, ...] = ()
    reliable_before: tuple[Point, ...] = ()
    reliable_after: tuple[Point, ...] = ()


class Verdict(Value):
    """Whether the candidate may be promoted, and why. `reasons` are sentences for people, with the numbers.

    `flips` are the turns that got worse, all of them; `gains` those that got better; `past` what it would have done in
    the conversations of the log.
    """

    version: int = VERSION
    bundle: str = ""
    promote: bool
    reasons: tuple[str, ...]
    current: str | None
    integrity: Integrity
    comparisons: tuple[Comparison, ...]
    checks: tuple[Check, ...] = ()
    slices: tuple[Slice, ...] = ()
    flips: tuple[Turn, ...] = ()
    gains: tuple[Turn, ...] = ()
    pictures: Pictures = Pictures()
    past: Past | None = None

    def bare(self) -> Verdict:
        """Without texts of turns and without measured times."""
        checks = tuple(item.model_copy(update={"examples": ()}) for item in self.checks if item.name != "latency")
        reasons = tuple(reason for reason in self.reasons if not reason.startswith("latency"))
        return self.model_copy(update={"flips": (), "gains": (), "past": None, "checks": checks, "reasons": reasons})
