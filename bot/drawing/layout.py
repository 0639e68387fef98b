"""Places for the nodes of a diagram, from left to right: a small layered layout.

The steps are those of Sugiyama, Tagawa and Toda (1981): arrows that close a circle are turned round, each node stands
one column right of all before it, long arrows pass through columns as points, the order within columns is improved by
barycentres, and heights are fitted so that arrows run level: each column by isotonic regression (pool adjacent
violators) towards the mean of its neighbours. Parts that no arrow joins are laid out one below the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SWEEPS = 12
"""How often order and heights are improved, there and back."""
COLUMN_GAP, ROW_GAP, THREAD = 34.0, 12.0, 6.0
"""Space between columns and between boxes, and the height of a passing arrow, in pixels."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where everything is, in pixels. `boxes` gives the middle of each box; `lines` the points of each arrow."""

    boxes: Mapping[str, Point]
    lines: Mapping[tuple[str, str], Sequence[Point]]
    width: float
    height: float


@dataclass(slots=True)
class _Spot:
    """A box or a passing point in a column."""

    name: str
    width: float
    height: float
    column: int
    y: float = 0.0


def place(sizes: Mapping[str, tuple[float, float]], arrows: Sequence[tuple[str, str]]) -> Placed:
    """Lay out boxes of these widths and heights, joined by these arrows."""
    turned = _turned(list(sizes), arrows)
    forward = [(end, start) if (start, end) in turned else (start, end) for start, end in arrows if start != end]
    columns = _columns(list(sizes), forward)
    spots = {name: _Spot(name, *size, columns[name]) for name, size in sizes.items()}
    chains = {pair: _chain(pair, spots) for pair in dict.fromkeys(forward)}
    links = [(one, two) for chain in chains.values() for one, two in itertools.pairwise(chain)]
    _stack(spots, links)
    shown = {pair: chains[_forward(pair, turned)] for pair in arrows if pair[0] != pair[1]}
    return _measured(sizes, spots, shown)


def _stack(spots: Mapping[str, _Spot], links: Sequence[tuple[str, str]]) -> None:
    """Give every spot its height, one connected part below the other."""
    top = 0.0
    for part in _parts(spots, links):
        inside = [(start, end) for start, end in links if start in part]
        _fit(_ordered(part, inside), inside, part)
        highest = min(spot.y - spot.height / 2 for spot in part.values())
        for spot in part.values():
            spot.y += top - highest
        top = max(spot.y + spot.height / 2 for spot in part.values()) + ROW_GAP


def _parts(spots: Mapping[str, _Spot], links: Sequence[tuple[str, str]]) -> list[dict[str, _Spot]]:
    """The connected parts, in the order of their first boxes."""
    before, after = _neighbours(spots, links)
    seen: set[str] = set()
    parts = []
    for root in spots:
        reached: set[str] = set()
        waiting = [root] if root not in seen else []
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                reached.add(name)
                waiting += [*before[name], *after[name]]
        if reached:
            parts.append({name: spot for name, spot in spots.items() if name in reached})
    return parts


def _forward(pair: tuple[str, str], turned: set[tuple[str, str]]) -> tuple[str, str]:
    return (pair[1], pair[0]) if pair in turned else pair


def _turned(names: Sequence[str], arrows: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that close a circle, found depth first."""
    following: dict[str, list[str]] = {name: [] for name in names}
    entered = {end for _, end in arrows}
    for start, end in arrows:
        following[start].append(end)
    turned: set[tuple[str, str]] = set()
    state: dict[str, int] = {}
    for root in sorted(names, key=lambda name: name in entered):
        stack = [(root, iter(following[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            name, rest = stack[-1]
            onward = next(rest, None)
            if onward is None:
                state[name] = 2
                stack.pop()
            elif state.get(onward) == 1:
                turned.add((name, onward))
            elif onward not in state:
                state[onward] = 1
                stack.append((onward, iter(following[onward])))
    return turned


def _columns(names: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each node; nodes that nothing leads to stand right before what they lead to."""
    after: dict[str, list[str]] = {name: [] for name in names}
    open_ways = dict.fromkeys(names, 0)
    for start, end in arrows:
        after[start].append(end)
        open_ways[end] += 1
    entered = {end for _, end in arrows}
    column = dict.fromkeys(names, 0)
    ready = [name for name in names if not open_ways[name]]
    for name in ready:
        for end in after[name]:
            column[end] = max(column[end], column[name] + 1)
            open_ways[end] -= 1
            if not open_ways[end]:
                ready.append(end)
    for name in names:
        if name not in entered and after[name]:
            column[name] = min(column[end] for end in after[name]) - 1
    return column


def _chain(pair: tuple[str, str], spots: dict[str, _Spot]) -> list[str]:
    """The spots that an arrow runs through; points are added where it passes a column."""
    start, end = (spots[name] for name in pair)
    names = [start.name]
    for column in range(start.column + 1, end.column):
        name = f"{pair[0]}>{pair[1]}@{column}"
        spots[name] = _Spot(name, 0.0, THREAD, column)
        names.append(name)
    return [*names, end.name]


def _ordered(spots: Mapping[str, _Spot], links: Sequence[tuple[str, str]]) -> list[list[_Spot]]:
    """The spots of each column, from top to bottom."""
    before, after = _neighbours(spots, links)
    grid: list[list[_Spot]] = [[] for _ in range(max((s.column for s in spots.values()), default=-1) + 1)]
    for name in _depth_first(spots, after, before):
        grid[spots[name].column].append(spots[name])
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        rank = {name: place for column in grid for name, place in _ranks(column)}
        for column in grid if down else reversed(grid):
            near = before if down else after
            middle = {s.name: _mean([rank[o] for o in near[s.name]], rank[s.name]) for s in column}
            column.sort(key=lambda spot: middle[spot.name])
            rank |= _ranks(column)
    return grid


def _ranks(column: Sequence[_Spot]) -> list[tuple[str, float]]:
    """How far down each spot stands, from 0 to 1: comparable between columns."""
    return [(spot.name, (place + 0.5) / len(column)) for place, spot in enumerate(column)]


def _neighbours(
    spots: Mapping[str, _Spot], links: Sequence[tuple[str, str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {name: [] for name in spots}
    after: dict[str, list[str]] = {name: [] for name in spots}
    for start, end in links:
        after[start].append(end)
        before[end].append(start)
    return before, after


def _depth_first(
    spots: Mapping[str, _Spot], after: Mapping[str, list[str]], before: Mapping[str, list[str]]
) -> list[str]:
    """An order in which what belongs together stands together."""
    seen: dict[str, None] = {}
    for root in sorted(spots, key=lambda name: bool(before[name])):
        stack = [root]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen[name] = None
                stack += [other for other in reversed(after[name]) if other not in seen]
                stack += [other for other in before[name] if other not in seen and not before[other]]
    return list(seen)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _fit(grid: Sequence[Sequence[_Spot]], links: Sequence[tuple[str, str]], spots: Mapping[str, _Spot]) -> None:
    """Heights: each column near the mean of its neighbours, in its order, with room between."""
    before, after = _neighbours(spots, links)
    for column in grid:
        _settle(column, [0.0] * len(column))
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for column in grid if down else reversed(grid):
            sides = (before,) if down else (after,)
            wanted = [_mean([spots[other].y for near in sides for other in near[spot.name]], spot.y) for spot in column]
            _settle(column, wanted)


def _settle(column: Sequence[_Spot], wanted: Sequence[float]) -> None:
    """The heights nearest to those wanted that keep the order and the room between: pool adjacent violators."""
    if not column:
        return
    offsets, pools = [0.0], []
    for upper, lower in itertools.pairwise(column):
        offsets.append(offsets[-1] + (upper.height + lower.height) / 2 + ROW_GAP)
    for value, offset in zip(wanted, offsets, strict=True):
        pools.append([value - offset, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, weight = pools.pop()
            mean, others = pools[-1]
            pools[-1] = [(mean * others + value * weight) / (others + weight), others + weight]
    fitted = [mean for mean, weight in pools for _ in range(int(weight))]
    for spot, mean, offset in zip(column, fitted, offsets, strict=True):
        spot.y = mean + offset


def _measured(
    sizes: Mapping[str, tuple[float, float]],
    spots: Mapping[str, _Spot],
    chains: Mapping[tuple[str, str], Sequence[str]],
) -> Placed:
    widths = [0.0] * (max((spot.column for spot in spots.values()), default=-1) + 1)
    for spot in spots.values():
        widths[spot.column] = max(widths[spot.column], spot.width)
    lefts = [0.0, *itertools.accumulate(width + COLUMN_GAP for width in widths)]
    boxes = {name: (lefts[spots[name].column] + spots[name].width / 2, spots[name].y) for name in sizes}

    def ends(name: str) -> tuple[Point, Point]:
        """Where arrows enter and leave; a passing arrow runs through the whole column."""
        spot = spots[name]
        left, width = lefts[spot.column], spot.width if name in sizes else widths[spot.column]
        return (left, spot.y), (left + width, spot.y)

    lines = {}
    for pair, chain in chains.items():
        points = [point for name in chain for point in ends(name)][1:-1]
        lines[pair] = points if chain[0] == pair[0] else points[::-1]
    bottom = max((spot.y + spot.height / 2 for spot in spots.values()), default=0.0)
    return Placed(boxes, lines, max(lefts[-1] - COLUMN_GAP, 0.0), bottom)
