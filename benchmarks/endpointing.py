"""Turn taking on the pause set and the set of nods and noise: cut-offs, waits, false stops, echoes, heard text.

    python -m benchmarks.endpointing [--voices 2] [--write]

Sentences and voices are others than those that the end-of-turn head was fitted on. The recogniser is played by the
truth (the words said so far, some spoiled, 160 ms later), so turn taking is measured alone. Needs espeak-ng and flite.
Two voices: about four minutes on one core. `--write` writes docs/benchmarks/endpointing.md.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import platform
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import endpointing_overlap
from benchmarks.endpointing_heard import heard_exactly
from bot.core.thresholds import Thresholds
from skills.turn_end import TurnEnd
from skills.voice_activity import VoiceActivity
from training.turns.calls import Ears, Outcome, heard_frames, play
from training.turns.clips import Clip, clips, read

ROOT = Path(__file__).parent.parent
PAUSES = Path(__file__).parent / "data" / "pauses.txt"
PAGE = ROOT / "docs" / "benchmarks" / "endpointing.md"
SEED = 2
PLANS: dict[str, tuple[bool, Ears]] = {
    "head, words without errors": (True, Ears()),
    "head, one word in ten wrong": (True, Ears(wrong=0.1)),
    "head, one word in five wrong": (True, Ears(wrong=0.2)),
    "head, melody only (no words)": (True, Ears(silent=True)),
    "no head: 600 ms of silence": (False, Ears()),
}


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """A row of the first table."""
    paused = [outcome for outcome in outcomes if outcome.clip.gaps]
    cut = [outcome for outcome in outcomes if outcome.waited is not None and outcome.waited < 0]
    waits = [outcome.waited for outcome in outcomes if outcome.waited is not None and outcome.waited >= 0]
    never = sum(outcome.waited is None for outcome in outcomes)
    middle, high = np.percentile(waits, [50, 95])
    return (
        f"| {name} | {len(cut)} of {len(outcomes)} ({len(cut) / len(outcomes):.1%}) | {len(cut) / len(paused):.1%} "
        f"| {middle:.0f} / {high:.0f} | {middle - 200:.0f} / {high - 200:.0f} | {never} |"
    )


def pauses(times: int, activity: VoiceActivity) -> tuple[list[Clip], list[str]]:
    """The table of the pause set, and the turns themselves."""
    turns = list(clips(read(PAUSES), times, SEED, held_out=True))
    frames = heard_frames(activity, [turn.samples for turn in turns])
    head, limits, lines = TurnEnd.load(), Thresholds(), []
    kinds: list[str] = []
    for name, (with_head, ears) in PLANS.items():
        dice = random.Random(SEED)
        found = [
            play(turn, seen, head if with_head else None, limits, ears, dice)
            for turn, seen in zip(turns, frames, strict=True)
        ]
        lines.append(row(name, found))
        kinds = kinds or by_kind(found)
    gaps = sum(len(turn.gaps) for turn in turns)
    told = f"{len(turns)} turns by held-out voices, {gaps} pauses within them, digest {digest(turns)}."
    head_row = "| end of turn by | cut off | of turns with a pause | wait, p50 / p95 ms | beyond 200 ms | never ended |"
    return turns, [told, "", head_row, "|" + " --- |" * 6, *lines, "", *kinds]


def by_kind(outcomes: Sequence[Outcome]) -> list[str]:
    """Where turns were cut off."""
    there = Counter(gap.kind for outcome in outcomes for gap in outcome.clip.gaps)
    cut = Counter(outcome.cut_in for outcome in outcomes if outcome.cut_in)
    parts = [f"{kind}: {cut[kind]} of {count}" for kind, count in sorted(there.items())]
    rest = {kind: count for kind, count in cut.items() if kind not in there}
    return ["Cut-offs by kind of pause (first row): " + "; ".join(parts) + f"; elsewhere: {sum(rest.values())}."]


def digest(turns: Sequence[Clip]) -> str:
    """What says whether two machines made the same sound."""
    found = hashlib.sha256()
    for turn in turns:
        found.update(np.round(turn.samples * 2047).astype("<i2").tobytes())
    return found.hexdigest()[:12]


def timed(name: str, made: Callable[[], list[str]]) -> list[str]:
    """A section of the page."""
    started = time.process_time()
    lines = made()
    return [f"## {name}", "", *lines, "", f"CPU: {time.process_time() - started:.0f} s, programs that speak apart.", ""]


def page(times: int) -> str:
    """The whole page."""
    activity = VoiceActivity.load()
    turns: list[Clip] = []

    def first() -> list[str]:
        made, lines = pauses(times, activity)
        turns.extend(made)
        return lines

    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout.split()[3]
    parts = [
        "# Turn taking",
        "",
        f"`python -m benchmarks.endpointing --voices {times} --write`, {datetime.date.today()}, {platform.machine()}, "
        f"espeak-ng {version}, one thread. The method is told in the docstrings of the modules; limits at the end.",
        "",
        *timed("Ends of turns", first),
        *timed("Nods, noise and interruptions", lambda: endpointing_overlap.table(activity, times)),
        *timed("Text that was heard", heard_exactly),
        (Path(__file__).parent / "data" / "endpointing_notes.md").read_text("utf-8"),
    ]
    return "\n".join(parts)


def main() -> int:
    """Print the page, and write it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endpointing", description=__doc__)
    parser.add_argument("--voices", type=int, default=2, help="voices per sentence")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = page(options.voices)
    print(text)
    if options.write:
        PAGE.write_text(text.rstrip() + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
