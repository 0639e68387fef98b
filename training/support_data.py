"""Public passages for the support scorer's base: policies, services, medicine, an encyclopedia; English.

The sides are kept apart by site, article or entity, so "dev" is a company that "train" has not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from bot.core.errors import NotFound
from training.starter.corpus import joined
from training.support_claims import Passage

SHARES = {"policyqa": 0.3, "dstc_knowledge": 0.3, "covidqa": 0.1, "qed_nq": 0.1, "medquad": 0.1, "covid_faq": 0.1}
"""Collections and the share of the passages that each gives."""
_HELD_OUT = 6
"""One in so many sites, articles and entities is "dev"."""
_LONGEST = 900
_ENTRIES = 6
"""Answers about one hotel or restaurant that make a passage."""
_PER_GROUP = 150


def public_passages(data: Path, side: str, count: int, seed: int = 0) -> list[Passage]:
    """About `count` passages of a side, "train" or "dev", whole groups of them, so that passages have neighbours.

    Raises:
        NotFound: a file is missing; names it.
    """
    random = Random(seed)
    found: list[Passage] = []
    for name, share in SHARES.items():
        groups: dict[str, list[Passage]] = {}
        for passage in _collection(data, name):
            if (crc32(passage.group.encode()) % _HELD_OUT == 0) == (side == "dev"):
                groups.setdefault(passage.group.split("\t")[0], []).append(passage)
        names = sorted(groups)
        random.shuffle(names)
        pool = [passage for group in names for passage in _some(groups[group], random)]
        found += [Passage(passage.text, passage.group.split("\t")[0]) for passage in pool[: int(share * count)]]
    return found


def _some(passages: list[Passage], random: Random) -> list[Passage]:
    return passages if len(passages) <= _PER_GROUP else random.sample(passages, _PER_GROUP)


def _collection(data: Path, name: str) -> Iterator[Passage]:
    """Passages whose group, up to a tab, is that of their neighbours, and as a whole decides the side."""
    if name in ("policyqa", "covidqa", "qed_nq"):
        for row in _rows(data / "qa" / f"{name}.passages.jsonl"):
            text = re.sub(r"^.*?Abstract: ", "", joined(row["text"]), flags=re.DOTALL)
            yield Passage(text[:_LONGEST], f"{name}/{row['title']}")
    elif name == "dstc_knowledge":
        yield from _entities(data)
    else:
        file = "medquad.train.jsonl" if name == "medquad" else "covid_faq.kb.jsonl"
        for row in _rows(data / "faq" / file):
            if row.get("lang", "en") == "en":
                yield Passage(f"{row['question']}\n{row['answer'][:_LONGEST]}", f"{name}\t{row['question']}")


def _entities(data: Path) -> Iterator[Passage]:
    entries: dict[tuple[str, str], list[str]] = {}
    for row in _rows(data / "faq" / "dstc_knowledge.kb.jsonl"):
        entries.setdefault((row["domain"], str(row["entity"])), []).append(row["answer"].strip())
    for (domain, entity), told in sorted(entries.items()):
        for start in range(0, len(told), _ENTRIES):
            text = f"{entity.title()}\n{' '.join(told[start : start + _ENTRIES])}"
            yield Passage(text, f"dstc/{domain}\t{entity}")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise NotFound(f"{path}: expected this file of the public data, found none")
    with path.open(encoding="utf-8") as stream:
        yield from (json.loads(line) for line in stream)
