"""Has the world moved away from the models? Week by week, each compared with the four weeks before it.

* Intents: the population stability index, sum (p - q) ln (p / q) over intents, is above 0.2 and above what chance gives
  in 99 of 100 weeks. (Between two samples of one distribution it is about (1/n + 1/m) times a chi-square with k - 1
  degrees of freedom: Yurdakul 2018.)
* Words: a classifier tells the week's messages from those before by their vectors (Lopez-Paz and Oquab 2017), one
  message a conversation, so that messages are independent. Ridge regression, five folds; p by permuting the weeks.
* Scope: the share of messages that are taken for out of scope, with Wilson's interval.
* Accuracy: of what people answered about turns drawn at random (`Corrected.audit`), with Wilson's interval. The other
  three say that something changed, only this one that it got worse; only this one asks for training by itself.

With fewer than `LEAST` messages a week is listed and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from bot.core.messages import Value
from training.examples import OOS
from training.metrics import area_under, wilson
from training.signals.turns import LoggedTurn

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Unit vectors of texts, float32 (texts, dimension)."""
BEFORE = 4
"""Weeks that a week is compared with."""
LEAST = 50
MOVED = 0.2
"""PSI from which a distribution has moved."""
_RARE = 5.0
"""Intents with fewer messages in both windows together are taken together."""
_SAMPLE = 400
"""Most messages of a window that the classifier sees."""
_DRAWS = 199
_FOLDS = 5
_RIDGE = 10.0
_SURE = 0.01


class Share(Value):
    """A share with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    n: int


class Week(Value):
    """One week. `begins` is its Monday (UTC). Figures that need more messages, or weeks before, are None.

    `psi_by_chance` is the PSI that chance stays below in 99 of 100 weeks. `auc` tells how well the words are told from
    those before (0.5: not at all), `auc_p` how often chance does as well. `findings` are sentences.
    """

    begins: str
    messages: int
    conversations: int
    in_scope: float | None = None
    out_of_scope: Share | None = None
    psi: float | None = None
    psi_by_chance: float | None = None
    moved: tuple[tuple[str, float, float], ...] = ()
    auc: float | None = None
    auc_p: float | None = None
    accuracy: Share | None = None
    findings: tuple[str, ...] = ()
    retrain: bool = False


def weeks(turns: Sequence[LoggedTurn], embed: Embed, seed: int = 0) -> list[Week]:
    """All weeks that have messages, oldest first. Only words that users said themselves count."""
    by_week: dict[datetime, list[LoggedTurn]] = {}
    for turn in turns:
        if turn.said and not turn.beside_person:
            by_week.setdefault(monday(turn.at), []).append(turn)
    found = []
    for begins in sorted(by_week):
        earliest = begins - timedelta(weeks=BEFORE)
        before = [turn for week, said in by_week.items() if earliest <= week < begins for turn in said]
        found.append(_week(begins, by_week[begins], before, embed, seed))
    return found


def monday(at: float) -> datetime:
    """The first moment of a time's week, UTC."""
    day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _week(begins: datetime, now: Sequence[LoggedTurn], before: Sequence[LoggedTurn], embed: Embed, seed: int) -> Week:
    outside = _share([not turn.intent for turn in now])
    accuracy, past = _share(_audited(now)), _share(_audited(before))
    week = Week(
        begins=begins.date().isoformat(),
        messages=len(now),
        conversations=len({turn.conversation for turn in now}),
        in_scope=float(np.mean([turn.in_scope for turn in now])),
        out_of_scope=outside,
        accuracy=accuracy,
    )
    findings: list[str] = []
    retrain = False
    if accuracy and past and accuracy.high < past.value:
        retrain = True
        findings.append(f"accuracy fell from {_told(past)} to {_told(accuracy)}, on turns drawn at random: train again")
    if min(len(now), len(before)) < LEAST:
        few = f"not judged: {len(now)} messages, {len(before)} in the weeks before; {LEAST} of each are needed"
        return week.model_copy(update={"findings": (*findings, few), "retrain": retrain})
    drift = _drift(now, before, embed, seed)
    earlier = _share([not turn.intent for turn in before])
    assert outside is not None and earlier is not None
    if outside.low > earlier.high or outside.high < earlier.low:
        findings.append(f"out of scope are {_told(outside)}, before {_told(earlier)}")
    findings += _sentences(drift)
    return week.model_copy(update={**drift, "findings": tuple(findings), "retrain": retrain})


def _drift(now: Sequence[LoggedTurn], before: Sequence[LoggedTurn], embed: Embed, seed: int) -> dict[str, object]:
    index, chance, moved = psi([turn.intent for turn in before], [turn.intent for turn in now])
    found: dict[str, object] = {"psi": index, "psi_by_chance": chance, "moved": tuple(moved)}
    rng = np.random.default_rng(seed)
    texts = [_one_each(window, rng) for window in (before, now)]
    if min(map(len, texts)) >= LEAST:
        vectors = [np.asarray(embed(said), dtype=np.float64) for said in texts]
        found["auc"], found["auc_p"] = told_apart(vectors[0], vectors[1], seed)
    return found


def _sentences(drift: dict[str, object]) -> list[str]:
    found = []
    index, chance, p = drift["psi"], drift["psi_by_chance"], drift.get("auc_p")
    assert isinstance(index, float) and isinstance(chance, float)
    if index > max(MOVED, chance):
        moved = drift["moved"]
        assert isinstance(moved, tuple)
        shown = ", ".join(f"{name or 'none'} {past:.0%} to {share:.0%}" for name, past, share in moved[:3])
        found.append(f"people ask for other things: PSI {index:.2f} ({shown})")
    if isinstance(p, float) and p <= _SURE:
        found.append(f"people say it in other words: told from earlier ones with AUC {drift['auc']:.2f}, p {p:.3f}")
    return found


def psi(before: Sequence[str], now: Sequence[str]) -> tuple[float, float, list[tuple[str, float, float]]]:
    """The index, what chance stays below, and the categories that moved it most as (name, share before, share now).

    Rare categories are taken together as "others"; half a row is added to each.
    """
    past, present = Counter(before), Counter(now)
    rare = {name for name in past | present if past[name] + present[name] < _RARE}
    names = [name for name in sorted(past | present) if name not in rare] + (["others"] if rare else [])

    def shares(counts: Counter[str]) -> Floats:
        together = sum(counts[name] for name in rare)
        rows = np.array([counts[name] for name in names], dtype=np.float64) + 0.5
        if rare:
            rows[-1] = together + 0.5
        smooth: Floats = rows / rows.sum()
        return smooth

    p, q = shares(past), shares(present)
    parts = (q - p) * np.log(q / p)
    degrees = max(len(names) - 1, 1)
    chance = (1 / len(before) + 1 / len(now)) * float(chdtri(degrees, _SURE))
    most = np.argsort(-parts, kind="stable")[:5]
    return float(parts.sum()), chance, [(names[at], float(p[at]), float(q[at])) for at in most]


def told_apart(before: Floats, now: Floats, seed: int = 0) -> tuple[float, float]:
    """The AUC of telling one sample's vectors, (rows, dimension), from the other's, and its permutation p."""
    rng = np.random.default_rng(seed)
    samples = [rows[rng.permutation(len(rows))[:_SAMPLE]] for rows in (before, now)]
    rows = np.concatenate(samples)
    label = np.repeat([0.0, 1.0], [len(part) for part in samples])
    drawn = np.stack([label, *(rng.permutation(label) for _ in range(_DRAWS))], axis=1)
    aucs = _auc(drawn, _predicted(rows, drawn, rng.permutation(len(rows)) % _FOLDS))
    return float(aucs[0]), float((1 + (aucs[1:] >= aucs[0]).sum()) / (1 + _DRAWS))


def _predicted(rows: Floats, labels: Floats, fold: NDArray[np.int64]) -> Floats:
    """Each row's label by kernel ridge regression on the other folds; all columns of labels at once."""
    kernel, found = rows @ rows.T, np.zeros_like(labels)
    for number in range(_FOLDS):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        means = labels[train].mean(axis=0)
        inside = kernel[np.ix_(train, train)] + _RIDGE * np.eye(len(train))
        found[test] = kernel[np.ix_(test, train)] @ np.linalg.solve(inside, labels[train] - means) + means
    return found


def _auc(labels: Floats, scores: Floats) -> Floats:
    """One a column."""
    once, columns = np.ones((1, len(labels))), zip(labels.T > 0, scores.T, strict=True)
    return np.array([area_under(label, score)(once)[0] for label, score in columns])


def _one_each(turns: Sequence[LoggedTurn], rng: np.random.Generator) -> list[str]:
    """The text of one turn of each conversation, drawn at random."""
    talks: dict[str, list[str]] = {}
    for turn in turns:
        talks.setdefault(turn.conversation, []).append(turn.text)
    return [texts[int(rng.integers(len(texts)))] for texts in talks.values()]


def _audited(turns: Sequence[LoggedTurn]) -> list[bool]:
    """Whether the intent was right, of turns that were drawn at random and judged; the latest answer counts."""
    found = []
    for turn in turns:
        answers = [item for item in turn.corrections if item.audit and item.usable and item.intent is not None]
        if answers:
            found.append((turn.intent or OOS) == answers[-1].intent)
    return found


def _share(hits: Sequence[bool]) -> Share | None:
    if not hits:
        return None
    figure = wilson(sum(hits), len(hits))
    return Share(value=figure.value, low=figure.low, high=figure.high, n=figure.n)


def _told(share: Share) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}, {share.n} rows)"


def report(found: Sequence[Week], made: str) -> str:
    """All weeks as Markdown, the latest first. `made` is when it was written."""
    lines = [f"# Drift, written {made}", ""]
    if not found:
        return "\n".join([*lines, "Nobody has said anything yet.", ""])
    latest = found[-1]
    lines += [f"Week of {latest.begins}: {'; '.join(latest.findings) or 'no change that chance does not give'}.", ""]
    lines += ["| week of | messages | out of scope | PSI (by chance) | told apart, AUC (p) | accuracy | found |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for week in reversed(found):
        scope = _told(week.out_of_scope) if week.out_of_scope else ""
        index = "" if week.psi is None else f"{week.psi:.2f} ({week.psi_by_chance:.2f})"
        auc = "" if week.auc is None else f"{week.auc:.2f} ({week.auc_p:.3f})"
        right = _told(week.accuracy) if week.accuracy else ""
        said = "; ".join(week.findings)
        lines.append(f"| {week.begins} | {week.messages} | {scope} | {index} | {auc} | {right} | {said} |")
    return "\n".join([*lines, ""])
