"""Knowledge from people's answers: a question that a person answered well after a hand-off, for the bot to answer next
time.

Questions that say the same are one proposal; its answer is the one most like the others. What speaks of one case only
(a number, a name, "I have sent you") is marked. Where people answered differently nothing is proposed, and what was
approved before is retired. A question is held out of every proposal that has several, and the proposal is tried: does
a search of the knowledge base with the proposals in it find the right one for the held-out question?
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.events import Recorded
from bot.core.protocols import Query
from retrieval.index import Embedder
from retrieval.ingest import ingest
from retrieval.search import KnowledgeIndex
from training.discovery import groups
from training.privacy import PLACEHOLDER, Masker, Memory
from training.review import Vectors, turn_place
from training.signals import LoggedTurn, conversations, lexical, turns
from training.signals.outcomes import handoff_resolved
from training.signals.signs import escalates
from training.split import normalise

SAME_QUESTION, SAME_ANSWER = 0.75, 0.6
"""Cosines from which two questions, or two answers, say the same."""
AGREED = 0.6
"""The share of answers that must say the same as the best one."""
ENOUGH = 2
"""Later answers that must disagree before what was approved is retired."""
_TOP = 3
_CASE = re.compile(
    r"\b(i have|i've|i am|i'm|i will|i'll|we have just|we've|noted|done"
    r"|your (order|parcel|account|invoice|mail|inbox))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A question and what a person answered, without what tells who they are."""

    question: str
    answer: str
    conversation: str
    at: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A proposal. `agreed` is the share of the `told` answers that say the same. `doubts` are for the person to weigh.

    `held_out` is the question that the proposal was tried with, "" if there was only one; `found` says how it went.
    """

    id: str
    questions: tuple[str, ...]
    answer: str
    told: tuple[Told, ...]
    agreed: float
    doubts: tuple[str, ...] = ()
    held_out: str = ""
    found: bool | None = None

    def row(self, by: str, at: str) -> dict[str, object]:
        """As a line of knowledge/mined.jsonl, which `bot ingest` reads."""
        names = sorted({one.conversation for one in self.told})
        questions = list(self.questions) + ([self.held_out] if self.held_out else [])
        return {"id": self.id, "questions": questions, "answer": self.answer, "approved_by": by, "at": at,
                "conversations": names}  # fmt: skip

    def edited(self, answer: str) -> Pair:
        """The proposal with a person's wording of the answer; an empty one changes nothing."""
        return replace(self, answer=answer.strip() or self.answer)


def told(history: Sequence[Recorded]) -> list[Told]:
    """Questions that people answered after a hand-off, in conversations that ended without anger, masked."""
    found, masker = [], Masker()
    for name, talk in conversations(turns(history)).items():
        by_turn, memory = {turn_place(turn): turn for turn in talk}, Memory()
        for said in handoff_resolved(talk, lexical):
            asked = by_turn[said.conversation, said.turn]
            if said.task == "reply" and _ended_well(talk, asked):
                question, answer = (masker.mask(text, memory).text for text in (asked.text, said.value))
                found.append(Told(question, answer, name, asked.at))
    return found


def _ended_well(talk: Sequence[LoggedTurn], asked: LoggedTurn) -> bool:
    later = [turn for turn in talk if turn.turn > asked.turn]
    helped = [turn for turn in later if turn.beside_person]
    return talk[-1].ended in ("resolved", "handed_off") and not any(
        turn.judgement < 0 or escalates(turn.text) for turn in helped
    )


def mine(found: Sequence[Told], vectors: Vectors, known: Sequence[str] = ()) -> list[Pair]:
    """Proposals, those with most answers first. `known` are ids that were approved or refused before."""
    if not found:
        return []
    clusters = groups(vectors([one.question for one in found]), SAME_QUESTION)
    used = Counter(normalise(found[n].answer) for members in clusters for n in members)
    pairs = []
    for members in clusters:
        pair = _pair([found[n] for n in members], vectors)
        here = sum(normalise(one.answer) == normalise(pair.answer) for one in pair.told)
        if used[normalise(pair.answer)] > here:
            continue  # what answers any question answers none
        if pair.agreed >= AGREED and pair.id not in known:
            pairs.append(pair)
    return sorted(pairs, key=lambda pair: (bool(pair.doubts), -len(pair.told), pair.id))


def _pair(said: Sequence[Told], vectors: Vectors) -> Pair:
    answers = vectors([one.answer for one in said])
    alike = answers @ answers.T
    best = int(np.lexsort(([one.at for one in said], alike.mean(axis=1)))[-1])
    agreed = float((alike[best] >= SAME_ANSWER).mean())
    questions = list(dict.fromkeys(one.question for one in said))
    held_out = questions.pop() if len(questions) > 1 else ""
    first = min(said, key=lambda one: (one.at, one.conversation))
    name = re.sub(r"\W+", "-", questions[0].casefold()).strip("-")[:40].strip("-")
    doubts = _doubts(questions[0], said[best].answer)
    return Pair(
        id=f"{name}-{_short(first.conversation)}",
        questions=tuple(questions),
        answer=said[best].answer,
        told=tuple(said),
        agreed=agreed,
        doubts=doubts,
        held_out=held_out,
    )


def _doubts(question: str, answer: str) -> tuple[str, ...]:
    found = []
    if PLACEHOLDER.search(question) or PLACEHOLDER.search(answer):
        found.append("it names a person or a number")
    if _CASE.search(answer):
        found.append("it speaks of one case")
    return tuple(found)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def tried(pairs: Sequence[Pair], index: Path, knowledge: Sequence[Path], encoder: Embedder) -> list[Pair]:
    """The proposals with how their test went; the project's own index is not touched."""
    if not any(pair.held_out for pair in pairs):
        return list(pairs)
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        trial = Path(folder) / "index"
        if index.exists():
            shutil.copytree(index, trial)
        extra = Path(folder) / "proposed.jsonl"
        extra.write_text(
            "".join(_line({"id": p.id, "questions": p.questions, "answer": p.answer}) for p in pairs), "utf-8"
        )
        ingest([*knowledge, extra], trial, encoder)
        hits = KnowledgeIndex.open(trial, encoder).search(
            [Query(text=pair.held_out or pair.questions[0]) for pair in pairs]
        )
    return [
        replace(pair, found=any(hit.document.endswith(f"#{pair.id}") for hit in one.hits[:_TOP]))
        if pair.held_out
        else pair
        for pair, one in zip(pairs, hits, strict=True)
    ]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that `write_rows` wrote; none if there is no such file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()] if path.exists() else []


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Replace the file, whole or not at all; no rows remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not rows:
        path.unlink(missing_ok=True)
        return
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(map(_line, rows)), "utf-8")
    part.replace(path)


def _line(row: Mapping[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def outdated(rows: Sequence[Mapping[str, Any]], found: Sequence[Told], vectors: Vectors) -> list[Mapping[str, Any]]:
    """Approved rows that people answer otherwise by now: the latest answers to the same question disagree with them."""
    return [row for row in rows if found and _disagrees(row, found, vectors)]


def _disagrees(row: Mapping[str, Any], found: Sequence[Told], vectors: Callable[[Sequence[str]], Any]) -> bool:
    asked = vectors(list(row["questions"]))
    near = vectors([one.question for one in found]) @ asked.T
    used = set(row.get("conversations", ()))
    later = [one for one, cosine in zip(found, near.max(axis=1), strict=True)
             if cosine >= SAME_QUESTION and one.conversation not in used]  # fmt: skip
    latest = sorted(later, key=lambda one: one.at)[-2 * ENOUGH :]
    if len(latest) < ENOUGH:
        return False
    alike = vectors([one.answer for one in latest]) @ vectors([str(row["answer"])])[0]
    others = int((alike < SAME_ANSWER).sum())
    return others >= ENOUGH and others > len(latest) / 2
