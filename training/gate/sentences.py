"""What was found, as sentences with numbers."""

from __future__ import annotations

from bot.manifest import Metric
from training.gate.verdict import Comparison, Integrity


def integrity_sentence(integrity: Integrity) -> str:
    """Whether a fresh process predicts the same."""
    state = "reproduces" if integrity.passed else "does NOT reproduce"
    return (
        f"integrity: a fresh process {state} the predictions ({integrity.agreement:.1%} of {integrity.rows} rows, "
        f"largest change of a score {integrity.largest_change:.1g})"
    )


def comparison_sentence(item: Comparison) -> str:
    """What became of a skill."""
    name = f"{item.skill}: {item.metric}"
    if item.finding == "unmeasured" or item.candidate is None:
        return f"{name} was not measured: no row is held out; add more examples"
    if item.change is None and item.floor is None:
        text = f"{name} {shown(item.candidate)}; too few rows to hold a first bundle to a floor"
    elif item.change is None or item.current is None or item.margin is None or item.sure is None:
        relation = "reaches" if item.finding == "first" else "is BELOW"
        text = f"{name} {shown(item.candidate)} {relation} the floor of {item.floor:.3f} for a first bundle"
    else:
        text = (
            f"{name} {item.finding}: {shown(item.candidate)} against {item.current.value:.3f} now, "
            f"change {item.change.value:+.3f} [{item.change.low:+.3f}, {item.change.high:+.3f}], "
            f"surely above {item.sure:+.3f}, margin that so many rows can certify {item.margin:.3f}; "
            f"{item.gains} rows gained, {item.flips} lost, p = {item.p:.2g}"
        )
        if item.effect > 1.05:
            text += f" ({item.groups} conversations or groups: the rows are worth {item.effect:.1f} times fewer)"
    if item.added:
        score = f" at {shown(item.added_score)}" if item.added_score else ", not measured"
        text += f"; new: {', '.join(item.added[:8])}{' ...' if len(item.added) > 8 else ''}{score}"
    return text


def shown(figure: Metric) -> str:
    """A figure with its interval and rows."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] on {figure.n} rows"
