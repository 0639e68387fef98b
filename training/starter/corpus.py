"""Public dialogues and questions as training text: talk, and tasks whose answer is in their sources.

Three tasks are made from replies of an agent: choose it, or its bare content, among passages for the question asked and
word it; word it from its bare content alone; and abstain when no passage holds it. Answers of question files make the
first and the last; some are cut to their beginning, and some begin with words of ours, as people's do. As when a bot
serves, the passage that answers comes first more often than not. Everything is drawn by a hash of the row, so the same
files give the same corpus.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from bot.core.errors import NotFound
from skills.prompting import ABSTAIN, END, Task, prompt, talk
from skills.values import Values
from training.generator import Sample

DIALOGUES = ("multiwoz21", "sgd", "star", "taskmaster4", "topical_chat")
PLAIN = ("sgd_text", "star_text", "topical_chat_text")
QUESTIONS = ("qed_nq", "policyqa", "covidqa")
ANSWERS = ("medquad", "stackfaq", "covid_faq", "dstc_knowledge")
WINDOW = 8
"""Turns of a dialogue in one sample; each window counts its values anew."""
_DISTRACTORS = 3
_ABSTAIN = 0.15
_FIRST = 0.7
"""How often the passage that answers is the first."""
_OPENED, _BEGUN = 0.3, 0.4
"""How often an answer begins with words of ours, and how often only its beginning is said."""
_OPENERS = (
    "Of course!", "Certainly.", "Sure!", "Happy to help.", "Good question!", "Thanks for asking.", "Gladly!",
    "No problem.", "Sorry about that.", "Sorry to hear that!", "I see.", "Right.", "Hello!", "Hi there!", "Let me see.",
    "Thank you for your patience.", "That is easy.", "Here is how it works.", "Here you go.", "All right.",
    "Absolutely!", "I understand.", "Good to know you are interested.", "Yes, I can help with that.",
    "Thanks for getting in touch.", "My apologies.", "No worries at all.", "With pleasure.", "Just a moment.",
    "So,", "Well,", "In short:",
)  # fmt: skip
_LONGEST = 700
"""Characters of a passage or of an answer; longer ones are cut at a sentence."""
_FILLER = re.compile(
    r"\b(?:the|a|an|please|just|very|really|so|well|okay|ok|sure|great|certainly|of course|i am|i'm|there|that|it|is"
    r"|are|was|do|does|would|could|will|be|to|for|at|in|on|of|and|you|your|i|we|have|has)\b[ ,!.]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dialogue:
    """Turns as (speaker, words), the speaker "user" or "bot"."""

    id: str
    turns: tuple[tuple[str, str], ...]


def dialogues(data: Path, split: str) -> Iterator[Dialogue]:
    """The dialogues of a split, "train" or "dev"; train holds the plain texts too.

    Raises:
        NotFound: a file is missing; names it.
    """
    for name in DIALOGUES:
        for row in _rows(data / "dialogues", f"{name}.{split}.jsonl"):
            turns = (("bot" if turn["speaker"] == "agent" else "user", joined(turn["text"])) for turn in row["turns"])
            yield Dialogue(row["id"], tuple(turns))
    if split == "train":
        for name in PLAIN:
            yield from _plain_dialogues(data / "lm", f"{name}.train.txt")


def windows(found: Iterable[Dialogue]) -> Iterator[Sample]:
    """Talk, all of it to be learned."""
    for dialogue in found:
        for start in range(0, len(dialogue.turns), WINDOW):
            yield Sample("", talk(dialogue.turns[start : start + WINDOW], Values()) + END)


def tasks(found: Sequence[Dialogue], share: float) -> Iterator[Sample]:
    """Tasks from a share of the agents' replies."""
    replies = [words for dialogue in found for speaker, words in dialogue.turns if speaker == "bot" and len(words) > 20]
    for dialogue in found:
        for place, (speaker, words) in enumerate(dialogue.turns):
            draw = random.Random(crc32(f"{dialogue.id}/{place}".encode()))
            asked = place > 0 and dialogue.turns[place - 1][0] == "user"
            if speaker == "bot" and asked and 20 < len(words) < _LONGEST and draw.random() < share:
                yield _task(dialogue.turns[max(0, place - 3) : place], words, replies, draw)


def answers(data: Path, split: str) -> Iterator[Sample]:
    """Tasks from questions with an answer in a passage, and from questions with an approved answer."""
    pairs = [*_from_questions(data, split), *_from_answers(data, split)]
    passages = [passage for _, passage, _ in pairs]
    for question, passage, answer in pairs:
        draw = random.Random(crc32(question.encode()))
        yield _chosen((("user", question),), passage, _as_people_say(answer, draw), passages, draw)


def _task(before: Sequence[tuple[str, str]], reply: str, replies: Sequence[str], draw: random.Random) -> Sample:
    bare = _FILLER.sub("", reply).strip() or reply
    kind = draw.random()
    if kind < 0.1:
        return _sample(Task(before, approved=bare), reply)
    return _chosen(before, bare if kind < 0.25 else reply, reply, replies, draw)


def _chosen(
    before: Sequence[tuple[str, str]], passage: str, answer: str, others: Sequence[str], draw: random.Random
) -> Sample:
    """The answer among other passages; or, for some, only the others, and nothing to be said."""
    around = [_cut(other) for other in draw.choices(others, k=draw.randint(1, _DISTRACTORS)) if other != passage]
    if draw.random() < _ABSTAIN and around:
        return _sample(Task(before, passages=around), "")
    around.insert(0 if draw.random() < _FIRST else draw.randint(0, len(around)), _cut(passage))
    return _sample(Task(before, passages=around), _cut(answer))


def _as_people_say(answer: str, draw: random.Random) -> str:
    """An answer whole or only its first sentences, and with an opening or none."""
    if draw.random() < _BEGUN:
        said = [sentence.strip() for _, sentence in _sentences(answer)]
        answer = " ".join(said[: draw.randint(1, 2)])
    return f"{draw.choice(_OPENERS)} {answer}" if draw.random() < _OPENED else answer


def _sample(task: Task, reply: str) -> Sample:
    values = Values()
    given = prompt(task, values)
    return Sample(given, (values.hide(reply) if reply else ABSTAIN) + END)


def _from_questions(data: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """(question, passage, the sentence of the passage that holds the answer)."""
    for name in QUESTIONS:
        passages = {row["id"]: row["text"] for row in _rows(data / "qa", f"{name}.passages.jsonl")}
        for row in _rows(data / "qa", f"{name}.{split}.jsonl"):
            text, start = passages[row["context_id"]], row["answers"][0]["start"]
            sentence = next(part for begin, part in _sentences(text) if begin <= start < begin + len(part) + 1)
            around = text[max(0, start - _LONGEST // 2) : start + _LONGEST // 2]
            yield row["question"], joined(around if sentence in around else sentence), joined(sentence)


def _from_answers(data: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """(question, answer, its beginning)."""
    for name in ANSWERS:
        kept = "dev" if split == "dev" else "train"
        file = f"{name}.{kept}.jsonl" if name == "medquad" else f"{name}.kb.jsonl"
        for row in _rows(data / "faq", file):
            held_out = crc32(str(row["question"]).encode()) % 20 == 0
            if row.get("lang", "en") == "en" and (name == "medquad" or held_out == (split == "dev")):
                yield row["question"], row["answer"], row["answer"]


def joined(text: str) -> str:
    """A text whose words and marks were split by spaces, as people write it."""
    text = re.sub(r"(?<=\w) (n't|'(?:s|m|re|ve|ll|d))\b", r"\1", text).replace("`` ", '"').replace(" ''", '"')
    return re.sub(r" ([.,!?;:])(?=\s|$)", r"\1", text).replace("( ", "(").replace(" )", ")")


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    for match in re.finditer(r"[^.!?]*(?:[.!?]+(?!\s|$)[^.!?]*)*[.!?]*", text):
        if match.group().strip():
            yield match.start(), match.group()


def _cut(text: str) -> str:
    """The text, or its whole sentences that fit."""
    if len(text) <= _LONGEST:
        return text
    cut = text[:_LONGEST]
    end = max(cut.rfind(mark) for mark in ".!?")
    return cut[: end + 1] if end > 0 else cut


def _plain_dialogues(folder: Path, name: str) -> Iterator[Dialogue]:
    speakers = {"U": "user", "A": "bot"}
    for number, block in enumerate(_text(folder, name).split("\n\n")):
        lines = [line.split(": ", 1) for line in block.strip().split("\n")]
        turns = tuple((speakers[line[0]], line[1]) for line in lines if len(line) == 2 and line[0] in speakers)
        yield Dialogue(f"{name}/{number}", turns)


def _rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    for line in _text(folder, name).splitlines():
        if line.strip():
            yield json.loads(line)


def _text(folder: Path, name: str) -> str:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            raw = path.read_bytes()
            return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    raise NotFound(f"{folder / name}(.gz) is missing; --data names the folder that holds dialogues/, lm/, qa/ and faq/")
