"""The page of a test run: one HTML file that needs nothing else. Texts of stories are escaped by the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from bot.core.rasa.stories import annotate, scalar
from bot.core.script import Did, Heard, LoopIs, SlotWas, Uttered
from bot.scenarios import Played
from bot.testing.figures import Pair, Share, pairs, shares
from bot.testing.playing import Check, Compared, Judged

_TITLES = {
    "stories": "Test stories",
    "steps": "Steps of stories",
    "intents": "Intents",
    "entities": "Texts with entities",
    "actions": "Actions",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as the page shows it. `kind` is user, bot or note; `wrong` says what was found instead."""

    kind: str
    title: str
    text: str
    place: str
    policy: str
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Two labels that were mixed up."""

    right: str
    said: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Run:
    """What a page is about."""

    title: str
    bundle: str
    tested: Sequence[Compared] = ()
    played: Sequence[Played] = ()
    files: Sequence[str] = ()


def render(run: Run) -> str:
    """The page."""
    checks = [check for one in run.tested for check in one.checks]
    return _template().render(
        run=run,
        figures=_figures(run),
        failed=[(one, _shown(one)) for one in run.tested if not one.passed],
        right=[(one, _shown(one)) for one in run.tested if one.passed],
        broken=[played for played in run.played if not played.passed],
        played=[played for played in run.played if played.passed],
        policies=_policies(checks),
        intents=_mixed(checks, "intent"),
        actions=_mixed(checks, "action", "listen"),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("bot.testing", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("run.html.j2")


def _figures(run: Run) -> list[tuple[str, Share]]:
    found = [(_TITLES[name], share) for name, share in shares(run.tested).items() if share.total]
    if run.played:
        found.append(("Test conversations", Share(sum(played.passed for played in run.played), len(run.played))))
        steps = [step for played in run.played for step in played.steps]
        found.append(("Turns of conversations", Share(sum(not step.failures for step in steps), len(steps))))
    return found


def _shown(tested: Compared) -> list[Shown]:
    return [_step(judged) for judged in tested.steps]


def _step(judged: Judged) -> Shown:
    line, place = judged.step.line, judged.step.where
    wrong = tuple(_wrong(check) for check in judged.checks if not check.right)
    policy = next((_policy(check) for check in judged.checks if check.kind == "action"), "")
    match line.step:
        case Heard(intent=intent):
            return Shown("user", intent or "", annotate(line.text, line.entities), place, policy, wrong)
        case Did(action=action):
            return Shown("bot", action, "", place, policy, wrong)
        case Uttered(text=text):
            return Shown("bot", "", text, place, policy, wrong)
        case SlotWas(name=name, value=value, any=unknown):
            return Shown("note", "slot", f"{name} is set" if unknown else f"{name} = {scalar(value)}", place, "", ())
        case LoopIs(loop=loop):
            return Shown("note", "form", loop or "none is active", place, "", ())
        case _:
            return Shown("note", "", "...", place, "", ())


def _policy(check: Check) -> str:
    sure = f" {check.confidence:.2f}" if check.policy == "RankingPolicy" else ""
    return f"{check.policy}{sure}"


def _wrong(check: Check) -> str:
    if check.kind == "intent":
        return f"intent found: {check.got} ({check.confidence:.2f})"
    if check.kind == "entities":
        return f"entities found: {check.got}"
    chosen = f"{check.got} ({_policy(check)})" if check.policy else check.got
    return f"chosen: {chosen}" if check.kind == "action" else f"then it should have listened; chosen: {chosen}"


def _policies(checks: Sequence[Check]) -> list[tuple[str, Share]]:
    """How often each policy chose, and how often rightly."""
    chosen = [check for check in checks if check.kind in ("action", "listen") and check.policy]
    total, right = Counter(c.policy for c in chosen), Counter(c.policy for c in chosen if c.right)
    return [(policy, Share(right[policy], count)) for policy, count in total.most_common()]


def _mixed(checks: Sequence[Check], *kinds: str) -> list[Mixed]:
    examples: dict[Pair, str] = {}
    for check in checks:
        if check.kind in kinds and not check.right:
            examples.setdefault((check.expected, check.got), check.said or check.where)
    counts = Counter(pair for pair in pairs(checks, *kinds) if pair[0] != pair[1])
    return [Mixed(right, said, count, examples[right, said]) for (right, said), count in counts.most_common()]
