"""Proposals made from the log: new intents, and knowledge from people's answers. A person approves each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.output import console
from bot.cli.review_session import new_name
from bot.cli.reviewing import Opened, keep_intents, opened, read_key, read_line, show

if TYPE_CHECKING:
    from training.discovery import Discovery, Survey
    from training.mining import Pair

_SHOWN = 8
_ENOUGH = 100
"""Messages below which nothing missing means little."""
MINED = Path("knowledge") / "mined.jsonl"


def propose(root: Path, by: str, *, discover: bool) -> None:
    """Show what was found, one by one, and keep what is approved."""
    asyncio.run(_discover(root, by) if discover else _mine(root, by))


async def _discover(root: Path, by: str) -> None:
    from training.discovery import survey

    async with opened(root) as at:
        looked = survey(at.history, at.desk)
        found = looked.found
        console.print(told(looked))
        for number, one in enumerate(found, start=1):
            show(f"\n[{number}/{len(found)}] {len(one.places)} turns that no intent fits")
            for text in one.texts[:_SHOWN]:
                show(f"     {text}")
            show(f"  nearest: {one.nearest[0]!r} -> {one.nearest[1]} ({one.alike:.2f})   proposed name: {one.name}")
            name = _named(one, list(at.desk.labels))
            if name is None:
                break
            if name:
                await _label(at, one, name, by)
                if name not in at.desk.labels:
                    keep_intents(root, {name: one.texts}, at.project.settings).tell()
    console.print("\nGive new intents an answer or a flow.\nNext: bot learn" if found else "Next: bot review")


def told(looked: Survey) -> str:
    """What was looked at and what came of it, and the latest misfits where they are all too different."""
    head = f"{looked.turns} messages looked at; no intent fits {len(looked.misfits)} of them."
    if looked.found:
        return f"{head} {len(looked.found)} groups of them may be intents of their own."
    if looked.turns < _ENOUGH:
        head += " That is little to go by: `bot learn` and `bot import` bring in logged conversations."
    if not looked.misfits:
        return head
    latest = "\n".join(f"     {text}" for text in looked.misfits[:_SHOWN])
    return (
        f"{head} No three of them are alike, so no intent is missing that people ask for often. The latest:\n{latest}"
    )


def _named(one: Discovery, known: Sequence[str]) -> str | None:
    """The intent of a cluster; "" to leave it, None to stop."""
    while (key := read_key("a accept the name  e another name  s skip  q quit > ")) not in (None, "q"):
        if key == "a":
            return one.name
        if key == "s":
            return ""
        if key == "e" and (name := new_name(read_line, show)):
            if name in known:
                show(f"  {name} is there already; its turns are labelled with it")
            return name
    return None


async def _label(at: Opened, one: Discovery, name: str, by: str) -> None:
    from bot.core.events import Corrected
    from training.judgements import note

    for conversation, turn in one.places:
        fact = Corrected(target=turn, intent=name, by=by, metadata={"reason": "discovery", "of": len(one.places)})
        await note(at.store, conversation, fact)


async def _mine(root: Path, by: str) -> None:
    from bot.app import index_folder
    from training.mining import mine, outdated, read_rows, told, tried, write_rows

    file = root / MINED
    async with opened(root) as at:
        state = at.project.settings.state_folder(root) / "learn"
        refused, retired = state / "mined_refused.jsonl", state / "mined_retired.jsonl"
        found, rows = told(at.history), read_rows(file)
        for row in outdated(rows, found, at.desk.vectors):
            rows.remove(dict(row))
            write_rows(retired, [*read_rows(retired), row])
            write_rows(file, rows)
            show(f"Retired, people answer otherwise by now: {row['questions'][0]}")
        known = [str(row["id"]) for path in (file, refused, retired) for row in read_rows(path)]
        pairs = mine(found, at.desk.vectors, known)
        pairs = tried(pairs, index_folder(at.project.settings, root), at.project.knowledge, at.encoder)
        kept = 0
        for number, pair in enumerate(pairs, start=1):
            _present(number, len(pairs), pair)
            key = _wanted()
            if key is None:
                break
            if key == "e":
                pair = pair.edited(read_line("  the answer: ") or "")
            row = pair.row(by, f"{datetime.now(UTC):%Y-%m-%d}")
            if key in ("a", "e"):
                rows.append(row)
                write_rows(file, rows)
                kept += 1
            elif key == "d":
                write_rows(refused, [*read_rows(refused), {"id": pair.id}])
    console.print(f"\n{len(pairs)} proposed, {kept} kept" + (f" in {file}." if kept else "."))
    console.print("Next: bot ingest" if kept else "Next: bot review")


def _present(number: int, of: int, pair: Pair) -> None:
    show(f"\n[{number}/{of}] answered by people {len(pair.told)} times, {pair.agreed:.0%} of them alike")
    for question in pair.questions:
        show(f"  Q  {question}")
    show(f"  A  {pair.answer}")
    if pair.held_out:
        state = "found" if pair.found else "NOT found"
        show(f"  test: {pair.held_out!r} was left out, and the answer was {state}")
    else:
        show("  test: none, it was asked once only")
    for doubt in pair.doubts:
        show(f"  careful: {doubt}")


def _wanted() -> str | None:
    while (key := read_key("a keep  e edit the answer and keep  d never  s not now  q quit > ")) not in (None, "q"):
        if key in ("a", "e", "d", "s"):
            return key
    return None
