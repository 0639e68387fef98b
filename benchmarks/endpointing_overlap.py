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
    back: Sound | None = None
    """What the reply is heard as when it comes back from a loudspeaker, sample by sample; None without one."""

    @property
    def echo(self) -> bool:
        """Whether the reply comes back."""
        return self.back is not None


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


def table(activity: VoiceActivity, times: int = 1) -> list[str]:
    """The lines of the page, each phrase by so many voices."""
    dice = random.Random(6)
    reply = say(REPLY, Voice("espeak-ng", "en-us+m1", 165, 50))
    cases = made(reply, dice, times)
    found = []
    for case in cases:
        found.append(play(case, activity, reply, guard=True))
        if case.echo:
            found.append(play(case, activity, reply, guard=False))
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


def made(reply: Sound, dice: random.Random, times: int) -> list[Case]:
    """All cases."""
    cases = []
    for line in SET.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            what, text = line.split(" | ")
            kind, language = what.split()
            for _ in range(times):
                sound = say(text, voice(language, dice))
                name = {"nod": "a nod", "stop": "an interruption"}[kind]
                cases.append(over(name, text, sound, reply, dice))
                if kind == "stop":
                    cases.append(over("an interruption, over an echo", text, sound, reply, dice, echo=True))
    for number in range(20 * times):
        noise = np.random.default_rng(number)
        sound = [coloured(noise, RATE, 1.0), hum(noise, RATE), knocks(noise, RATE), rain(noise, RATE)][number % 4]
        cases.append(over("a noise", "", sound * np.float32(0.5), reply, dice))
    cases += [over("an echo alone", "", np.zeros(16, np.float32), reply, dice, echo=True) for _ in range(10 * times)]
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
    back = None
    if echo:
        late = np.zeros(int(dice.uniform(0.05, 0.25) * RATE), np.float32)
        room = roomy(reply, noise)[: len(reply)] * np.float32(10 ** (-dice.uniform(12, 26) / 20))
        back = np.concatenate((late, room))
    own = sound * np.float32(0.3 / max(1e-6, float(np.max(np.abs(sound), initial=0.0))))
    mic[at : at + len(own)] += own
    return Case(kind, text, mic, at * 1000 / RATE, len(sound) * 1000 / RATE, back)


def play(case: Case, activity: VoiceActivity, reply: Sound, guard: bool) -> Result:
    """One reply with something over it, up to its end or until it is given up. What is held makes no echo."""
    result = Result(case if guard else replace(case, kind=f"{case.kind}, without the guard"))
    state, _ = step(Listening(), Reply(len(reply), False, REPLY))
    echo, at, playing, since, due = Echo(), 0, True, 0.0, list[tuple[float, Signal]]()
    ear, silent = activity.open(), np.zeros(FRAME, np.float32)
    for number in range(len(case.mic) // FRAME):
        out = reply[at : at + FRAME] if playing else reply[:0]
        back = case.back[at : at + FRAME] if case.back is not None and playing else silent[:0]
        mic = case.mic[number * FRAME : (number + 1) * FRAME].copy()
        mic[: len(back)] += back
        frame = ear.feed(mic)[0]
        echo, alike = echo.step(level_of(out) if len(out) else SILENCE, frame.level)
        decided: tuple[Decision, ...]
        state, decided = step(state, frame._replace(echo=alike if guard else 0.0, played=at if len(out) else -1))
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
    words = case.text.split()
    found = words[: int(len(words) * min(1.0, max(0.0, (end - case.onset) / case.length)) + 1e-6)]
    own = REPLY[: len(REPLY) * at // whole + 1].split()[-4:-1] if case.echo and not found else []
    return " ".join(found or own)
