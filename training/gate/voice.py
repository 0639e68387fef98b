"""What a newly trained generator must not lose: the team's wording, its language, its sources, and its silence.

Each guard fails only if the harm is real: the lower bound of its 95 % interval, conversations drawn whole, is above
nothing. Forgetting has a fixed bound instead, against the base itself, as it adds up over many rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from skills.support import sentences, unsupported
from training import metrics as m
from training.gate.measured import groups_of
from training.gate.verdict import Check, Quote, State
from training.spoken import Spoken, origin_of, perplexity

FORGETS = 0.05
"""How much harder to foresee what customers say may become."""
_SHOWN = 5


def checks(candidate: Spoken, before: Spoken, talk: float, name: str) -> list[Check]:
    """The candidate against the generator in use, called `name`, and its language against the base, whose mean loss on
    what customers say is `talk`."""
    found = [_voice(candidate, before, name), _forgetting(candidate, talk)]
    if any(candidate.texts):
        found.append(_support(candidate, before, name))
    if not all(row.reply for row in candidate.rows):
        found.append(_silence(candidate, before, name))
    return found


def unsupported_sentences(found: Spoken) -> tuple[list[int], list[int], list[Quote]]:
    """For each row how many sentences its passages do not support, and how many it has; some to look at."""
    wrong, total, quotes = [], [], list[Quote]()
    for row, text in zip(found.rows, found.texts, strict=True):
        said = sentences(text)
        bad = [finding for sentence in said for finding in unsupported(sentence, row.passages)[:1]]
        quotes += [Quote(text=it.sentence, note=f"{it.check}: {it.what}", conversation=row.conversation) for it in bad]
        wrong.append(len(bad))
        total.append(len(said))
    return wrong, total, quotes[:_SHOWN]


def _voice(candidate: Spoken, before: Spoken, name: str) -> Check:
    told = [number for number, row in enumerate(candidate.rows) if row.reply]
    sides = [perplexity([it.losses[n] for n in told], [it.tokens[n] for n in told]) for it in (candidate, before)]
    values = [m.bootstrap(side, len(told), clusters=_groups(candidate, told)).value for side in sides]
    change = m.bootstrap(m.difference(*sides), len(told), clusters=_groups(candidate, told))
    text = (
        f"voice: perplexity of {len(told)} held-out replies of people {values[0]:.2f}, {values[1]:.2f} with {name}, "
        f"change {change.value:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"
    )
    return Check(name="voice", state=_state(change.low <= 0), sentence=text)


def _forgetting(candidate: Spoken, talk: float) -> Check:
    change = exp(candidate.talk - talk) - 1
    text = f"forgetting: the perplexity of what customers say is {change:+.1%} of the base's; allowed {FORGETS:+.0%}"
    return Check(name="forgetting", state=_state(change <= FORGETS), sentence=text)


def _support(candidate: Spoken, before: Spoken, name: str) -> Check:
    (wrong, total, quotes), (wrong_before, total_before, _) = map(unsupported_sentences, (candidate, before))
    sides = (_rate(wrong, total), _rate(wrong_before, total_before))
    rows = list(range(len(candidate.rows)))
    change = m.bootstrap(m.difference(*sides), len(rows), clusters=_groups(candidate, rows))
    text = (
        f"support: {sum(wrong)} of {sum(total)} sentences say what their passages do not, before any check; "
        f"{sum(wrong_before)} of {sum(total_before)} with {name}"
    )
    return Check(name="support", state=_state(change.low <= 0), sentence=text, examples=tuple(quotes))


def _silence(candidate: Spoken, before: Spoken, name: str) -> Check:
    quiet = [number for number, row in enumerate(candidate.rows) if not row.reply]
    answered = [[bool(it.texts[number]) for number in quiet] for it in (candidate, before)]
    change = m.bootstrap(
        m.difference(m.mean(answered[0]), m.mean(answered[1])), len(quiet), clusters=_groups(candidate, quiet)
    )
    text = (
        f"silence: {sum(answered[0])} of {len(quiet)} questions are answered whose passages do not hold the answer, "
        f"{sum(answered[1])} with {name}"
    )
    return Check(name="silence", state=_state(change.low <= 0), sentence=text)


def _rate(wrong: Sequence[int], total: Sequence[int]) -> m.Statistic:
    shares = (m.mean(wrong), m.mean([max(count, 0) for count in total]))
    return lambda weights: shares[0](weights) / (shares[1](weights) + 1e-9)


def _groups(found: Spoken, rows: Sequence[int]) -> NDArray[np.int64]:
    return groups_of([origin_of(found.rows[number]) for number in rows])


def _state(passed: bool) -> State:
    return "passed" if passed else "failed"
