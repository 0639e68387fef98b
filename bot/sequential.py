"""Evidence that may be looked at at any time: is the candidate harmful, is it harmless?

The hash of a conversation puts it into the candidate's arm with the known probability s. If both bundles do equal harm,
then, whatever the rate of harm is and however it drifts over the day, a harmed conversation is one of the candidate's
with probability s, independently of all before. If the candidate harms rho times as often, the probability is

    p(rho) = s rho / (s rho + 1 - s)

So only harmed conversations are counted, each once. With c of them in the candidate's arm and b in the other one, the
likelihood ratio of rho against rho0 is  L(rho) = (p(rho)/p(rho0))^c ((1-p(rho))/(1-p(rho0)))^b,  multiplied over the
stages with their own s, and the evidence is the mean of L over a grid of rho. While the truth is rho0 or less (for a
grid above rho0; or more, for one below), that mean is a non-negative supermartingale that starts at 1. Hence, by
Ville's inequality, it ever exceeds 20 with a probability of at most 1/20, however often one looks.

Sources: Ville 1939; Robbins 1970 (mixtures); Johari, Pekelis, Walsh 2015, arXiv 1512.04922 (mSPRT for A/B tests);
Lindon and Malek 2022 (counts of arms as a multinomial, for canaries); Vovk and Wang 2021 (a mean of e-values is one).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HARMFUL: tuple[float, ...] = (1.25, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 25.0, 40.0)
"""Harm of the candidate, as multiples of the baseline's, that evidence of harm is looked for at."""
HARMLESS: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""The same for evidence that harm is below `TOLERATED`."""
TOLERATED = 1.5
"""Above this multiple a candidate is not harmless."""


def harm(counts: NDArray[np.int64], shares: Sequence[float], weights: Sequence[float]) -> Floats:
    """How much speaks for harm. `counts` has shape (..., signals, stages, 2): harmed conversations, candidate first.

    `shares` are the candidate's shares of the stages, `weights` those of the signals, which add up to 1. The result has
    the leading shape.
    """
    found = evidence(counts, shares, HARMFUL, 1.0)
    weighted: Floats = np.exp(np.minimum(found, 700.0)) @ np.asarray(weights)
    return weighted


def harmless(counts: NDArray[np.int64], shares: Sequence[float]) -> Floats:
    """How much speaks against harm of `TOLERATED` times the baseline's. `counts` has shape (..., stages, 2)."""
    found: Floats = np.exp(np.minimum(evidence(counts, shares, HARMLESS, TOLERATED), 700.0))
    return found


def evidence(counts: NDArray[np.int64], shares: Sequence[float], ratios: Sequence[float], null: float) -> Floats:
    """The logarithm of the mean likelihood ratio of `ratios` against `null`. Counts have shape (..., stages, 2)."""
    s = np.asarray(shares, dtype=np.float64)
    split = (s > 0) & (s < 1)  # where all or none have the candidate, nothing can be compared
    s = np.where(split, s, 0.5)
    gain = _log_arms(s, ratios) - _log_arms(s, (null,))
    gain[:, ~split, :] = 0.0
    each = np.tensordot(counts, gain, axes=([-2, -1], [-2, -1]))
    top = each.max(axis=-1)
    found: Floats = top + np.log(np.exp(each - top[..., None]).mean(axis=-1))
    return found


def _log_arms(shares: Floats, ratios: Sequence[float]) -> Floats:
    """log p and log (1 - p) of a harmed conversation, shape (ratios, stages, 2)."""
    odds = shares * np.asarray(ratios)[:, None]
    whole = odds + 1 - shares
    logs: Floats = np.log(np.stack([odds / whole, (1 - shares) / whole], axis=-1))
    return logs
