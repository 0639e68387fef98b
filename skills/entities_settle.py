"""The one place that settles overlapping entities: every character belongs to one entity at most.

Several extractors may find the same words. Who wins:

1. *The same type twice*: the extractor that gives the most exact value wins (order `SAME_TYPE`: the author's pattern
   and formats that were checked, lookup table, dates and amounts, then the learned head). The winner takes over role
   and group if it has none, because only the head learns these. But where the head sees one thing and the table only
   several words of it ("Brisa kettle"), it is one thing.
2. *Different types*: what the author said exactly wins over what was learned, and that over what any bot would see
   (order `ACROSS_TYPES`: pattern and checked formats, lookup table, learned head, dates and amounts, plain number).
3. Equal rank: the longer span, then the earlier one, then the type's name, then the extractor's rank and name.

Synonyms come after this, on what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.events import Entity

_EXACT = ("regex", "email", "url", "phone")
_VALUES = ("money", "date", "time", "duration")
SAME_TYPE = {**dict.fromkeys(_EXACT, 0), "lookup": 1, **dict.fromkeys(_VALUES, 2), "number": 2, "head": 3}
"""Rank of an extractor among those that found the same type; the lowest wins."""
ACROSS_TYPES = {**dict.fromkeys(_EXACT, 0), "lookup": 1, "head": 2, **dict.fromkeys(_VALUES, 3), "number": 4}
"""Rank of an extractor among those that found different types; the lowest wins."""
_UNKNOWN = 5


def settle(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """The entities that remain, in the order of the text; no two overlap."""
    by_type: dict[str, list[Entity]] = {}
    for entity in entities:
        by_type.setdefault(entity.type, []).append(entity)
    merged = [entity for same in by_type.values() for entity in _merged(same)]
    return tuple(sorted(_chosen(_ranked(merged, ACROSS_TYPES)), key=lambda entity: entity.start))


def overlap(one: Entity, other: Entity) -> bool:
    """Whether two entities share a character."""
    return one.start < other.end and other.start < one.end


def _ranked(entities: Sequence[Entity], ranks: dict[str, int]) -> list[Entity]:
    def key(entity: Entity) -> tuple[int, int, int, str, int, str]:
        rank, across = ranks.get(entity.extractor, _UNKNOWN), ACROSS_TYPES.get(entity.extractor, _UNKNOWN)
        return rank, entity.start - entity.end, entity.start, entity.type, across, entity.extractor

    return sorted(entities, key=key)


def _chosen(ranked: Sequence[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in ranked:
        if not any(overlap(entity, other) for other in kept):
            kept.append(entity)
    return kept


def _merged(same: list[Entity]) -> list[Entity]:
    if len(same) == 1:
        return same
    ranked = _ranked(_without_parts(same), SAME_TYPE)
    kept = _chosen(ranked)
    return [_with_role(entity, [other for other in ranked if overlap(entity, other)]) for entity in kept]


def _without_parts(same: list[Entity]) -> list[Entity]:
    """Without the entries of a lookup table that are several inside one learned span."""
    parts: list[Entity] = []
    for whole in (entity for entity in same if entity.extractor == "head"):
        inside = [part for part in same if part.extractor == "lookup" and _covers(whole, part)]
        parts += inside if len(inside) > 1 else []
    return [entity for entity in same if entity not in parts]


def _covers(whole: Entity, part: Entity) -> bool:
    return whole.start <= part.start and part.end <= whole.end


def _with_role(entity: Entity, others: Sequence[Entity]) -> Entity:
    role = entity.role or next((other.role for other in others if other.role), None)
    group = entity.group or next((other.group for other in others if other.group), None)
    return entity.model_copy(update={"role": role, "group": group})
