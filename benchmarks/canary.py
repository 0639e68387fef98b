"""How often is a harmless canary taken back, and how soon a harmful one?

    python -m benchmarks.canary                  # docs/benchmarks/canary.md
    python -m benchmarks.canary cost PROJECT     # what two bundles cost; the project is trained

Simulated conversations pass through the very code of a running bot (`bot.sequential`, `bot.rollout.move`); it looks
after every ten of them. Conversations show signs of harm at given rates, independently; with the
candidate the rates are multiplied. Five signs, `any` is their union. 200 runs a row, seeded. Prints Markdown.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bot.app import load_encoder, load_models, model_store
from bot.core.protocols import Utterance
from bot.harm import SIGNS, WEIGHTS, Tally
from bot.project import load_project
from bot.rollout import Figures, Plan, move, place
from bot.sequential import harm, harmless
from bot.store import SqlStore
from skills.understanding import Understander
from tests.fakes import managing, models, tell

RATES = (0.10, 0.05, 0.01, 0.08, 0.03)
"""Conversations with each sign but `any`, in the order of `SIGNS`."""
BLOCK = 10


@dataclass(frozen=True, slots=True)
class World:
    """`ratios` multiply the rates of the signs for the candidate; `swing` moves all rates up and down over time."""

    ratios: tuple[float, ...] = (1.0,) * len(RATES)
    rates: tuple[float, ...] = RATES
    swing: float = 0.0


@dataclass(frozen=True, slots=True)
class Ends:
    """How runs ended: `state` 0 running, 1 promoted, 2 taken back; conversations by then, and with the candidate."""

    state: NDArray[np.int64]
    talks: NDArray[np.int64]
    exposed: NDArray[np.int64]


def simulate(world: World, runs: int, talks: int, plan: Plan, seed: int = 0) -> Ends:
    """All runs at once, `talks` conversations at most."""
    rng, shares = np.random.default_rng(seed), plan.shares
    counts = np.zeros((runs, len(SIGNS), len(shares), 2), dtype=np.int64)
    stage, had, state = (np.zeros(runs, dtype=np.int64) for _ in range(3))
    ended, exposed = np.full(runs, talks), np.zeros(runs, dtype=np.int64)
    for begun in range(0, talks, BLOCK):
        live = np.flatnonzero(state == 0)
        if not len(live):
            break
        mine = rng.random((len(live), BLOCK)) < np.array(shares)[stage[live], None]
        _count(counts, live, stage[live], mine, _signs(world, mine, begun, rng))
        had[live] += mine.sum(axis=1)
        exposed[live] += mine.sum(axis=1)
        against = harm(counts[live], shares, WEIGHTS)
        favour = harmless(counts[live, 0], shares)
        for at, run in enumerate(live):
            found = Figures(float(against[at]), float(favour[at]), int(had[run]), np.inf, shares[stage[run]])
            step, _ = move(found, plan)
            if step == "rollback" or (step == "advance" and stage[run] + 1 == len(shares)):
                state[run], ended[run] = (2 if step == "rollback" else 1), begun + BLOCK
            elif step == "advance":
                stage[run] += 1
                had[run] = 0
    return Ends(state, ended, exposed)


def _signs(world: World, mine: NDArray[np.bool_], begun: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which signs each conversation shows, `any` first: shape (runs, BLOCK, signs)."""
    drift = 1 + world.swing * np.sin(begun / 500)
    rates = np.where(mine[..., None], np.multiply(world.rates, world.ratios), world.rates) * drift
    shown = rng.random(rates.shape) < rates
    return np.concatenate([shown.any(axis=-1, keepdims=True), shown], axis=-1)


def _count(
    counts: NDArray[np.int64],
    live: NDArray[np.int64],
    stage: NDArray[np.int64],
    mine: NDArray[np.bool_],
    shown: NDArray[np.bool_],
) -> None:
    counts[live, :, stage, 0] += (shown & mine[..., None]).sum(axis=1)
    counts[live, :, stage, 1] += (shown & ~mine[..., None]).sum(axis=1)


def cost(root: Path) -> None:
    """CPU of a turn without and with a canary, scripted models; memory with one bundle and with two."""
    for name, canary in (("no canary", False), ("a canary at 10 %", True)) * 3:
        print(f"{name}: {asyncio.run(_turns(canary)):.0f} us CPU a turn")
    project = load_project(root)
    encoder = load_encoder(project.settings, root)
    loaded = load_models(project, encoder)
    Understander.load(loaded.bundle.path, encoder, project.program, loaded.bundle.id).run([Utterance(text="hello")])
    time.sleep(3)  # what warms up behind the first answers
    one, began = _resident(), time.perf_counter()
    bundle = model_store(project.settings, root).open(loaded.bundle.id)
    second = Understander.load(bundle.path, encoder, project.program, bundle.id)
    second.run([Utterance(text="hello there")])
    print(f"one bundle {one:.0f} MiB, two {_resident():.0f} MiB; loaded in {time.perf_counter() - began:.2f} s")
    asyncio.run(loaded.close())


async def _turns(canary: bool, turns: int = 2_000) -> float:
    with TemporaryDirectory() as folder:
        async with SqlStore(Path(folder) / "log.db") as store, managing(store) as manager:
            if canary:
                base, other = manager.models, models(bundle="b2")
                manager.select = lambda name: other if place("salt", name) < 0.1 else base
                manager.followers.watch(Tally(lambda name, _: int(place("salt", name) >= 0.1), [0]).take)
            began = time.process_time()
            for number in range(turns):
                await tell(manager, "hello there", conversation=f"c{number % 200}")
            return (time.process_time() - began) / turns * 1e6


def _resident() -> float:
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or the costs."""
    if arguments:
        cost(Path(arguments[1]))
        return 0
    began = time.perf_counter()
    same = (1.0,) * len(RATES)
    quiet, noisy = tuple(rate / 5 for rate in RATES), tuple(rate * 3 for rate in RATES)
    rows = {
        "nothing changed": World(),
        "nothing changed, rates swing by half": World(swing=0.5),
        "nothing changed, harm is rare (a fifth)": World(rates=quiet),
        "nothing changed, harm is common (three times)": World(rates=noisy),
        "better: half the harm": World((0.5,) * 5),
        "harm by a quarter more": World((1.25,) * 5),
        "harm by half more": World((1.5,) * 5),
        "twice the harm": World((2.0,) * 5),
        "three times": World((3.0,) * 5),
        "answers fail ten times as often, the rest as before": World((*same[:2], 10.0, *same[3:])),
        "hands over twice as often, the rest as before": World((1.0, 2.0, *same[2:])),
        "no answer to half of all": World((5.0, *same[1:])),
    }
    plans = {
        "1, 10, 50 %; 20, 100, 300 conversations with the candidate": Plan(minutes=0),
        "The same; 100, 300, 1,000": Plan(minutes=0, conversations=(100, 300, 1000)),
    }
    for title, plan in plans.items():
        print(f"\n{title}\n")
        print("| candidate | taken back | promoted | conversations until taken back, median (with the candidate) |")
        print("| --- | --- | --- | --- |")
        for name, world in rows.items():
            found = simulate(world, 200, 30_000, plan, seed=7)
            back = found.state == 2
            shown = f"{np.median(found.talks[back]):,.0f} ({np.median(found.exposed[back]):,.0f})" if back.any() else ""
            print(f"| {name} | {back.mean():.1%} | {(found.state == 1).mean():.1%} | {shown} |")
    print(f"\n{time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
