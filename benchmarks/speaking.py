"""How soon and how well answers are said by espeak-ng: the first sample, the whole sentence, silence after a barge-in.

    python benchmarks/speaking.py > docs/benchmarks/speaking.md

Alone it takes ten seconds. Sixty sentences of a shop in English, German and Chinese, said by the speaker that calls
use (words instead of digits, process per sentence, 16 kHz), without and with the memory of what was said; then eight
callers at a time, each with sentences of its own. Wall times need an idle machine, or that all others step aside:
`chrt -r 1 python benchmarks/speaking.py` (as root). CPU times do not.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bot.core.speech import RATE, Speaker, Speech
from bot.sections import SpeakerSettings, VoiceSettings
from bot.sound import Samples
from bot.speaking import open_speaker_of
from skills.speakable import speakable

TEXTS = {
    "en": [
        "Your order 4821{n} left our warehouse on 2{n} November and should arrive tomorrow between 9:00 and 11:30.",
        "That kettle costs €3{n}.50, and it holds 1.{n} litres.",
        "You can send it back within 3{n} days.",
        "Shall I cancel order KT-482{n}3 for you?",
        "Yes, that works.",
        "I have written to jo{n}@kettle.example about the refund of £1{n}.99, as you asked me to.",
        "Please call 0800 123 45{n} if it has not come by then.",
        "We have it in **red**, in blue and in {n} shades of grey.",
    ],
    "de": [
        "Ihre Bestellung 4821{n} kam am 2{n}. November um 14:3{n} Uhr an.",
        "Das kostet 1{n},50 € inkl. MwSt.",
        "Gern, einen Augenblick bitte.",
    ],
    "zh": ["您的订单4821{n}将于2026年11月2{n}日送达。"],
}
PARALLEL = 8
METHOD = """
60 sentences of a shop in three languages through the speaker that calls use: digits into words, a process of espeak-ng
for each sentence, 16 kHz. With `chrt` the benchmark runs before all other work of a busy machine. "At once" is eight
callers whose sentences begin in the same moment, again and again; an interrupted sentence is five times as long.
"""


@dataclass(frozen=True)
class Said:
    """Seconds to the first sample and to the last, and the sound."""

    first: float
    whole: float
    sound: Samples


def sentences() -> list[Speech]:
    return [Speech(text.format(n=n), code) for n in range(1, 6) for code, texts in TEXTS.items() for text in texts]


async def say(speaker: Speaker, speech: Speech) -> Said:
    start, first, pieces = time.perf_counter(), 0.0, []
    async with aclosing(speaker.speak(speech)) as sound:
        async for piece in sound:
            first = first or time.perf_counter() - start
            pieces.append(piece)
    return Said(first, time.perf_counter() - start, np.concatenate(pieces))


async def interrupt(speaker: Speaker, speech: Speech) -> float:
    """Seconds from the wish to be silent until the process is gone."""
    async with aclosing(speaker.speak(speech)) as sound:
        await anext(sound)
        start = time.perf_counter()
    return time.perf_counter() - start


def cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def quantiles(seconds: list[float]) -> str:
    return " | ".join(f"{np.quantile(seconds, q) * 1000:.1f}" for q in (0.5, 0.95, 1.0))


def sound_rows(said: list[Said]) -> list[str]:
    """What the ear would notice, as numbers."""
    seconds = np.array([len(one.sound) for one in said]) / RATE
    peaks = np.array([np.abs(one.sound).max() for one in said])
    loud = np.array([20 * np.log10(np.sqrt(np.mean(one.sound**2))) for one in said])
    starts = np.array([np.flatnonzero(np.abs(one.sound) > 0.01)[0] for one in said]) / RATE
    shares = [_share_of_voice(one.sound) for one in said]
    return [
        f"| length | {seconds.min():.2f} to {seconds.max():.2f} s, {seconds.sum():.0f} s in all |",
        f"| peak | {peaks.min():.2f} to {peaks.max():.2f} of full scale; {sum(peaks >= 0.999)} sentences clipped |",
        f"| loudness (RMS) | {loud.min():.1f} to {loud.max():.1f} dBFS |",
        f"| silence before the first sound | at most {starts.max() * 1000:.0f} ms |",
        f"| power between 80 and 4,000 Hz | {min(shares):.1%} at least |",
    ]


def _share_of_voice(sound: Samples) -> float:
    power, hertz = np.abs(np.fft.rfft(sound)) ** 2, np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(power[(hertz > 80) & (hertz < 4000)].sum() / power.sum())


async def measure() -> list[str]:
    patient = SpeakerSettings(first_s=60, between_s=60, total_s=120)
    plain = await open_speaker_of(VoiceSettings(speaker=patient.model_copy(update={"cache_mib": 0})))
    kept = await open_speaker_of(VoiceSettings(speaker=patient))
    asked = sentences()
    for speech in asked[:3]:
        await say(plain, speech)
    before = cpu()
    alone = [await say(plain, speech) for speech in asked]
    spent = (cpu() - before) / len(asked)
    for speech in asked:
        await say(kept, speech)
    again = [await say(kept, speech) for speech in asked]
    crowd = [one for _ in range(2) for one in await _at_once(plain, asked)]
    stopped = [await interrupt(plain, Speech(asked[0].text * 5)) for _ in range(40)]
    start = time.process_time()
    for speech in asked:
        speakable(speech.text, speech.language)
    words = (time.process_time() - start) / len(asked)
    return [
        f"Speaker: {plain.id}.",
        "",
        "| what | p50 ms | p95 ms | most ms |",
        "| --- | --- | --- | --- |",
        f"| first sample | {quantiles([one.first for one in alone])} |",
        f"| whole sentence made | {quantiles([one.whole for one in alone])} |",
        f"| first sample, said before | {quantiles([one.first for one in again])} |",
        f"| first sample, {PARALLEL} callers at once | {quantiles([one.first for one in crowd])} |",
        f"| barge-in: until the process is gone | {quantiles(stopped)} |",
        "",
        f"CPU for a sentence, espeak-ng and ours together: {spent * 1000:.1f} ms on average, "
        f"{spent * len(asked) / sum(len(one.sound) / RATE for one in alone):.1%} of the time that it takes to listen; "
        f"{words * 1000:.2f} ms of it turn digits into words.",
        "",
        "| the sound | |",
        "| --- | --- |",
        *sound_rows(alone),
    ]


async def _at_once(speaker: Speaker, asked: list[Speech]) -> list[Said]:
    async def caller(place: int) -> list[Said]:
        return [await say(speaker, speech) for speech in asked[place::PARALLEL]]

    return [one for said in await asyncio.gather(*map(caller, range(PARALLEL))) for one in said]


def machine() -> str:
    return f"{os.cpu_count()} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    first = "chrt -r 1 " if os.sched_getscheduler(0) == os.SCHED_RR else ""
    print("# Speaking\n")
    print(f"`{first}python benchmarks/speaking.py`, {datetime.now(UTC):%Y-%m-%d}, {machine()}.")
    print(f"Load of the machine when it began: {os.getloadavg()[0]:.1f}.")
    print(METHOD)
    print("\n".join(asyncio.run(measure())))


if __name__ == "__main__":
    main()
