"""Speech, noise and echoes over a reply that is being played: what is held, given up and played on.

A nod, an interruption or a noise begins somewhere in a reply of ten seconds. The recogniser is played by the truth: it
gives the words said so far 160 ms after it is asked, and no words for noise. In an echo call, the reply comes back from
a loudspeaker, late, quieter and through a room, and the recogniser then hears the reply's own words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bot.core.echo import SILENCE, Echo
from bot.core.hearing import (
    Decision,
    Frame,
    Hold,
    Interrupt,
    Listening,
    MaybeDone,
    PartialWanted,
    Reply,
    Resume,
    Signal,
    Words,
)
from bot.core.listening import step
from bot.core.speech import RATE
from skills.voice_activity import VoiceActivity, level_of
from training.hearing.sounds import coloured, hum, knocks, rain
from training.hearing.spoil import roomy
from training.hearing.voices import HELD_OUT, Sound, Voice, say

SET = Path(__file__).parent / "data" / "backchannels.txt"
REPLY = (
    "Your parcel left our warehouse on Monday morning and is now with the carrier. It should reach you on Wednesday "
    "before noon, and if nobody is at home it waits for a week at the shop around the corner."
)
LATE_MS = 160.0
FRAME = RATE * 32 // 1000


@dataclass(frozen=True)
class Case:
    """Something over a reply: what it is, its words, the microphone's sound, where it begins, and an echo or not."""

    kind: str
    text: str
    mic: Sound
    onset: float
    length: float
    echo: bool = False


@dataclass
class Result:
    """What became of it, in ms of sound: when the reply was held, given up and resumed, all counted from the onset."""

    case: Case
    held: float | None = None
    interrupted: float | None = None
    resumed: float | None = None
    holds: int = 0
    gap: float = 0.0
    exact: bool = True


def table(activity: VoiceActivity) -> list[str]:
    """The lines of the page."""
    dice = random.Random(6)
    reply = say(REPLY, Voice("espeak-ng", "en-us+m1", 165, 50))
    cases = made(reply, dice)
    ears = [activity.open() for _ in cases]
    found = []
    for at in range(0, len(cases), 16):
        part = list(zip(ears[at : at + 16], (case.mic for case in cases[at : at + 16]), strict=True))
        for case, frames in zip(cases[at : at + 16], activity.run(part), strict=True):
            found.append(play(case, [frame.speech for frame in frames], reply, guard=True))
            if case.echo:
                found.append(play(case, [frame.speech for frame in frames], reply, guard=False))
    lines = [
        "| over a reply | calls | given up | held | held after, p50 / p95 ms | silent till it plays on, p50 / p95 ms |",
        "|" + " --- |" * 6,
    ]
    for kind in dict.fromkeys(result.case.kind for result in found):
        lines.append(row(kind, [result for result in found if result.case.kind == kind]))
    resumed = [result for result in found if result.resumed is not None]
    exact = sum(result.exact for result in resumed)
    return [*lines, "", f"Played on from the exact sample where it was held: {exact} of {len(resumed)}."]


def row(kind: str, results: Sequence[Result]) -> str:
    """A row of the table."""
    stopped = sum(result.interrupted is not None for result in results)
    held = [result.held for result in results if result.held is not None]
    gaps = [result.gap for result in results if result.resumed is not None]
    count = len(results)
    return (
        f"| {kind} | {count} | {stopped} ({stopped / count:.1%}) | {len(held)} ({len(held) / count:.0%}) "
        f"| {_middle(held)} | {_middle(gaps)} |"
    )


def _middle(values: Sequence[float]) -> str:
    return "{:.0f} / {:.0f}".format(*np.percentile(values, [50, 95])) if values else "none"


def made(reply: Sound, dice: random.Random) -> list[Case]:
    """All cases."""
    cases = []
    for line in SET.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            what, text = line.split(" | ")
            kind, language = what.split()
            for _ in range(3):
                sound = say(text, voice(language, dice))
                name = {"nod": "a nod", "stop": "an interruption"}[kind]
                cases.append(over(name, text, sound, reply, dice))
                if kind == "stop":
                    cases.append(over("an interruption, over an echo", text, sound, reply, dice, echo=True))
    for number in range(60):
        noise = np.random.default_rng(number)
        sound = [coloured(noise, RATE, 1.0), hum(noise, RATE), knocks(noise, RATE), rain(noise, RATE)][number % 4]
        cases.append(over("a noise", "", sound * np.float32(0.5), reply, dice))
    cases += [over("an echo alone", "", np.zeros(16, np.float32), reply, dice, echo=True) for _ in range(30)]
    return cases


def voice(language: str, dice: random.Random) -> Voice:
    """A voice that is held out."""
    accent = {"en": "en-gb-scotland", "de": "de"}[language]
    return Voice("espeak-ng", f"{accent}+{dice.choice(HELD_OUT)}", dice.randrange(140, 190), dice.randrange(30, 70))


def over(kind: str, text: str, sound: Sound, reply: Sound, dice: random.Random, echo: bool = False) -> Case:
    """Some sound over a reply, as a microphone takes it."""
    at = int(dice.uniform(2.5, 6.0) * RATE)
    noise = np.random.default_rng(dice.randrange(2**31))
    mic = (noise.standard_normal(len(reply) + RATE) * 10 ** (-55 / 20)).astype(np.float32)
    if echo:
        late = int(dice.uniform(0.05, 0.25) * RATE)
        back = roomy(reply, noise)[: len(reply)] * np.float32(10 ** (-dice.uniform(12, 26) / 20))
        mic[late : late + len(back)] += back
    own = sound * np.float32(0.3 / max(1e-6, float(np.max(np.abs(sound), initial=0.0))))
    mic[at : at + len(own)] += own
    return Case(kind, text, mic, at * 1000 / RATE, len(sound) * 1000 / RATE, echo)


def play(case: Case, speech: Sequence[float], reply: Sound, guard: bool) -> Result:
    """One reply with something over it, up to its end or until it is given up."""
    result = Result(case if guard else replace(case, kind=f"{case.kind}, without the guard"))
    state, _ = step(Listening(), Reply(len(reply), False, REPLY))
    echo, at, playing, since, due = Echo(), 0, True, 0.0, list[tuple[float, Signal]]()
    for number, likely in enumerate(speech):
        out = reply[at : at + FRAME] if playing else reply[:0]
        heard = level_of(case.mic[number * FRAME : (number + 1) * FRAME])
        echo, alike = echo.step(level_of(out) if len(out) else SILENCE, heard)
        decided: tuple[Decision, ...]
        state, decided = step(state, Frame(32.0, likely, heard, alike if guard else 0.0, at if len(out) else -1))
        at += len(out)
        for signal in [signal for when, signal in due if when <= state.now]:
            state, more = step(state, signal)
            decided = (*decided, *more)
        due = [(when, signal) for when, signal in due if when > state.now]
        for decision in decided:
            match decision:
                case PartialWanted() | MaybeDone():
                    text = said(case, decision.end, at, len(reply))
                    due.append((state.now + LATE_MS, Words(text, isinstance(decision, MaybeDone))))
                case Hold(sample):
                    result.held = result.held if result.held is not None else state.now - case.onset
                    playing, at, result.holds, since = False, sample, result.holds + 1, state.now
                case Resume(sample):
                    result.exact &= sample == at
                    result.resumed, playing, result.gap = state.now - case.onset, True, result.gap + state.now - since
                case Interrupt():
                    result.interrupted = state.now - case.onset
                    return result
    return result


def said(case: Case, end: float, at: int, whole: int) -> str:
    """What the recogniser finds: the words said by then; where nobody spoke over an echo, the reply's own."""
    share = min(1.0, max(0.0, (end - case.onset) / case.length))
    words = case.text[: round(share * len(case.text))].rsplit(" ", 0 if share == 1 else 1)[0] if case.text else ""
    own = REPLY[: len(REPLY) * at // whole].split()[-6:] if case.echo and not words else []
    return words or " ".join(own)
