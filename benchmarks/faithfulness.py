"""What a generator gets past the chain of checks: unsupported sentences, wrong values, answers where there is none.

    python -m benchmarks.faithfulness                      # a generator that goes wrong on purpose, half of the time
    python -m benchmarks.faithfulness --generator bot      # the project's own, as `bot serve` opens it
    python -m benchmarks.faithfulness --generator bot --judge sheet.jsonl      # and a sheet of sentences to be judged
    python -m benchmarks.faithfulness --judged sheet.jsonl                     # count a sheet that was judged

300 questions over the demo's pages (found by its own search), 300 over passages of public question files (the passage
among two others), 200 that have no answer: 60 of ours on the shop's trade, 40 public ones on anything, 100 questions
whose passage is taken away. Each with the checks as they are, without the scorer, and with every check off. Bounds are
Clopper and Pearson's, 95 %.

What is unsupported is known for the generator that goes wrong on purpose: it says which sentences it spoiled. For
another one people judge, by `PROTOCOL`; the rules alone are counted without them. `--write` fills the page
docs/benchmarks/faithfulness.md. About five minutes on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.privacy import bounds
from benchmarks.writers import CANARY, Careless
from bot.app import Bot, Wiring, open_bot
from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation, Turn
from bot.core.messages import Message, Text
from bot.core.protocols import Generator, Query
from bot.wording import Manner, Wording
from skills.guard import judges
from skills.speaking import Chain, Judge, supported
from skills.support_scorer import BASE, SupportScorer
from skills.support_words import sentences

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("UNDERSTUDY_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "benchmarks" / "faithfulness.md"
PROTOCOL = """\
How to judge a sheet (one JSON object a line; fill in "judged"):
1. Read the sentence, then the sources; nothing else counts, not what you know, nor whether it answers the question.
2. "supported": a careful reader of the sources would agree with every part of it. Kind words, greetings and what
   repeats the question count as supported; so does what follows at once (open until 18:00, so open at 17:00).
3. "unsupported": any part is not said, is said of something else, holds only under a condition that was left out, or
   is the opposite. Also if it is true in the world.
4. "value": as 3, and the part in question is a number, price, date, time, code, name, link or address.
5. In doubt it is unsupported. Two people judge; where they differ, a third decides. Sentences come in a drawn
   order, with nothing about which checks they went through.
"""


@dataclass(frozen=True)
class Asked:
    """A question with the passages at hand; `answerable` by them. `part` is shop, unseen or none."""

    part: str
    question: str
    hits: tuple[ev.Hit, ...]
    answerable: bool = True


@dataclass(frozen=True)
class Shown:
    """A sentence that was shown, and for what; `wrong` tells how it was spoiled, "" if it was not or is unknown."""

    asked: Asked
    sentence: str
    wrong: str


async def shop_questions(bot: Bot, count: int) -> list[Asked]:
    """Examples of the demo's questions that its search answers, evenly from all intents."""
    text = (bot.root / "data" / "nlu" / "questions.yml").read_text("utf-8")
    lines = [line.strip()[2:] for line in text.splitlines() if line.startswith("    - ")]
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in lines]
    found = []
    for question in random.Random(5).sample(plain, len(plain)):
        hits = await _hits(bot, question)
        if hits and len(found) < count:
            found.append(Asked("shop", question, hits))
    return found


async def unanswerable(bot: Bot, unseen: Sequence[Asked]) -> list[Asked]:
    """200 questions: 60 of ours, 40 of no concern to a shop, 100 without their passage."""
    lines = (Path(__file__).parent / "data" / "unanswerable.txt").read_text("utf-8").splitlines()
    ours = [line for line in lines if line and not line.startswith("#")]
    rows = [row["text"] for row in _rows("intents/clinc150.dev.jsonl") if row["intent"] == "oos"]
    found = [Asked("none", question, await _hits(bot, question), False) for question in (*ours, *rows[:40])]
    return found + [replace(item, part="none", hits=item.hits[1:], answerable=False) for item in unseen[:100]]


async def _hits(bot: Bot, question: str) -> tuple[ev.Hit, ...]:
    """What the bot would word an answer from: its best passages above the floor."""
    assert bot.loaded.models.retrieve is not None
    found = await bot.loaded.models.retrieve(Query(text=question))
    return tuple(hit for hit in found.hits if hit.score >= found.floor)[:3]


def unseen_questions(count: int) -> list[Asked]:
    """Questions of public files, each with its passage first and two others of its file behind it."""
    found = []
    for name, share in (("policyqa", 0.4), ("covidqa", 0.25), ("qed_nq", 0.35)):
        passages = {row["id"]: row for row in _rows(f"qa/{name}.passages.jsonl")}
        rows = list(_rows(f"qa/{name}.dev.jsonl"))
        draw = random.Random(7)
        for row in draw.sample(rows, min(len(rows), round(share * count))):
            others = [passages[key] for key in draw.sample(sorted(passages), 3) if key != row["context_id"]][:2]
            hits = tuple(_hit(item) for item in (passages[row["context_id"]], *others))
            found.append(Asked("unseen", row["question"], hits))
    return found[:count]


def _hit(row: dict[str, Any]) -> ev.Hit:
    return ev.Hit(chunk=row["id"], document=row["id"], title=row["title"], text=row["text"][:900], score=0.9)


def _rows(name: str) -> Iterable[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


async def play(asked: Sequence[Asked], generator: Generator, chain: Chain) -> tuple[list[Shown], Counter[str]]:
    """Have every question worded; the sentences shown, and how often each check refused or it was worded, by part."""
    wording = Wording(generator, chain, Manner(deadline=600))
    shown: list[Shown] = []
    ends: Counter[str] = Counter()
    for number, item in enumerate(asked):
        if not item.hits:
            ends[f"{item.part} nothing found"] += 1
            continue
        step = st.Generate(approved=item.hits[0].text, hits=item.hits)
        found = await wording.word(step, _state(number, item.question), lambda _: None)
        ends[f"{item.part} {found.fallback or 'worded'}"] += 1
        spoiled = generator.spoiled if isinstance(generator, Careless) else {}
        shown += [Shown(item, part, spoiled.get(part, "")) for part in sentences(found.text)]
    return shown, ends


def _state(number: int, question: str) -> Conversation:
    message = Message(id=f"m{number}", parts=(Text(text=question),))
    turn = Turn(number=1, key="1", message=message, text=question)
    return Conversation(id=f"q{number}", turn=1, channel="rest", current=turn, history=(("user", question),))


def wrong_values(shown: Sequence[Shown]) -> int:
    """Sentences with a number that stands in no source, told without the checks that the chain uses."""
    return sum(not _digits(item.sentence) <= _digits(" ".join(map(_source, item.asked.hits))) for item in shown)


def _digits(text: str) -> set[str]:
    return set(re.findall(r"\d+", text))


def _source(hit: ev.Hit) -> str:
    return f"{hit.title}\n{hit.text}"


def lines(name: str, shown: Sequence[Shown], ends: Counter[str]) -> list[str]:
    """Rows of the table for one way of checking."""
    found = []
    for part in ("shop", "unseen"):
        mine = [item for item in shown if item.asked.part == part]
        bad = sum(bool(item.wrong) for item in mine)
        worded = ends[f"{part} worded"]
        total = sum(count for key, count in ends.items() if key.startswith(f"{part} "))
        found.append(
            f"| {name} | {part} | {worded} of {total} | {len(mine)} | {_share(bad, len(mine))} "
            f"| {_share(sum(item.wrong == 'value' for item in mine), len(mine))} | {wrong_values(mine)} |"
        )
    total = sum(count for key, count in ends.items() if key.startswith("none "))
    found.append(f"| {name} | no answer | {_share(ends['none worded'], total)} answered | | | | |")
    return found


def _share(hits: int, total: int) -> str:
    if not total:
        return "-"
    low, high = bounds(hits, total)
    return f"{hits} ({hits / total:.1%}, 95 %: {low:.1%} to {high:.1%})"


async def run(found: argparse.Namespace) -> str:
    """All tables as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_bot(found.project, Wiring(log=Path(folder) / "log.db", patient=True)) as bot:
            started = time.process_time()
            unseen = unseen_questions(300)
            asked = [*await shop_questions(bot, 300), *unseen, *await unanswerable(bot, unseen)]
            asked = random.Random(3).sample(asked, round(found.share * len(asked)))
            generator = _generator(bot, found.generator)
            scorer = SupportScorer.load(found.scorer, bot.encoder)
            rules: list[tuple[str, Judge]] = [*judges(hidden=[CANARY]), ("support", supported)]
            table = [
                "| checks | questions | worded | sentences shown | unsupported | wrong value | number in no source |",
                "|" + " --- |" * 7,
            ]
            told = [scorer.calibration]
            for name, chain in (
                ("all", Chain([*rules, ("scorer", scorer.judge)])),
                ("without the scorer", Chain(rules)),
                ("every check off", Chain([])),
            ):
                shown, ends = await play(asked, generator, chain)
                table += lines(name, shown, ends)
                if name == "all" and found.judge:
                    sheet(found.judge, shown)
                sys.stderr.write(f"{name}: {dict(sorted(ends.items()))}\n")
            seconds = time.process_time() - started
            return "\n".join([*table, "", f"Generator: {generator.id}. Threshold: {told[0]}. {seconds:.0f} CPU s."])


def _generator(bot: Bot, name: str) -> Generator:
    if name == "careless":
        return Careless()
    if bot.loaded.speaker is None:
        raise SystemExit("the project has no generator: set `generator:` in its bot.yml and run `bot train`")
    return bot.loaded.speaker.generator


def sheet(path: Path, shown: Sequence[Shown]) -> None:
    """Write the sentences to be judged, in a drawn order, and print how."""
    with path.open("w", encoding="utf-8") as stream:
        for item in random.Random(1).sample(list(shown), len(shown)):
            sources = [_source(hit) for hit in item.asked.hits]
            row = {
                "part": item.asked.part,
                "question": item.asked.question,
                "sentence": item.sentence,
                "sources": sources,
                "judged": "",
            }
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    sys.stdout.write(PROTOCOL)


def judged(path: Path) -> str:
    """The counts of a judged sheet."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    table = ["| questions | judged | unsupported | of these values |", "|" + " --- |" * 4]
    for part in sorted({row["part"] for row in rows}):
        mine = [row["judged"] for row in rows if row["part"] == part and row["judged"]]
        bad, values = sum(word != "supported" for word in mine), sum(word == "value" for word in mine)
        table.append(f"| {part} | {len(mine)} | {_share(bad, len(mine))} | {_share(values, len(mine))} |")
    return "\n".join(table)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faithfulness", description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT / "examples" / "shop")
    parser.add_argument("--generator", choices=("careless", "bot"), default="careless")
    parser.add_argument("--scorer", type=Path, default=BASE)
    parser.add_argument("--share", type=float, default=1.0, help="ask only this share of the questions")
    parser.add_argument("--judge", type=Path, help="write the sentences shown into this file, to be judged")
    parser.add_argument("--judged", type=Path, help="count this judged file, and do nothing else")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    found = parser.parse_args()
    text = judged(found.judged) if found.judged else asyncio.run(run(found))
    sys.stdout.write(text + "\n")
    if found.write:
        head, _, tail = PAGE.read_text("utf-8").partition("<!-- table -->\n")
        when = datetime.now(UTC).date().isoformat()
        PAGE.write_text(
            f"{head}<!-- table -->\n{when}.\n\n{text}\n<!-- end -->{tail.partition('<!-- end -->')[2]}", "utf-8"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
