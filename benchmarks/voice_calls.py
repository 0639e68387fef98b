"""Scripted calls over a real WebSocket on this machine: time to the answer by stage, and to silence after a barge-in.

    python benchmarks/voice_calls.py [--calls 100] [--at-once 2] [--recogniser CHECKPOINT] [--out docs/benchmarks]

The bot is the demo shop with its models (`make demo` trains them), silero's detector, our turn head and espeak-ng. The
callers play `examples/shop/audio`, 20 ms at a time. Without `--recogniser` a stand-in knows the recordings again and
takes `--heard-in` seconds for each, so that all but recognition is measured. No disclosure is said. Then 8 calls at
once. Some five minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import numpy as np
from aiohttp import WSMsgType, web

from benchmarks.voice_page import histogram
from bot.app import Bot, Wiring, open_bot
from bot.core.hearing import Frame
from bot.core.speech import RATE, Heard, Recogniser, Utterance
from bot.server.app import build_app
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from bot.sound import Samples, read_wav, to_pcm16
from bot.speaking import open_speaker_of
from bot.voice import voice_of
from connectors.voice.channel import VoiceChannel, VoiceOffer
from connectors.voice.parts import Ear, Parts
from skills.turn_end import Pause, TurnEnd
from skills.voice_activity import VoiceActivity

ROOT = Path(__file__).parent.parent
AUDIO = ROOT / "examples/shop/audio"
STEP = RATE // 50
STAGES = ("vad_stop", "asr_final", "eot", "nlu", "tts_ttfb", "playout")


@dataclass(frozen=True)
class Clip:
    """A recording without silence around it, its words and how loud it is, 20 ms at a time."""

    words: tuple[str, ...]
    sound: Samples
    shape: Samples


def clips() -> list[Clip]:
    """The recordings."""
    rows = [line.split("\t") for line in (AUDIO / "sentences.tsv").read_text("utf-8").splitlines()[1:]]
    return [_clip(row) for row in rows]


def _clip(row: Sequence[str]) -> Clip:
    sound = read_wav((AUDIO / row[0]).read_bytes())
    loud = np.flatnonzero(shape_of(sound) > -45)
    sound = sound[loud[0] * STEP : (loud[-1] + 1) * STEP]
    return Clip(tuple(row[-1].split()), sound, shape_of(sound))


def shape_of(sound: Samples) -> Samples:
    """dBFS of each 20 ms."""
    whole = sound[: len(sound) // STEP * STEP].reshape(-1, STEP)
    return (10 * np.log10(np.square(whole).mean(axis=1) + 1e-8)).astype(np.float32)


class Known:
    """A stand-in for a recogniser: it knows the recordings again by how their loudness moves."""

    name = "stand-in"

    def __init__(self, known: Sequence[Clip], seconds: float) -> None:
        self._known, self._seconds = known, seconds

    def run(self, batch: Sequence[Utterance]) -> Sequence[Heard]:
        time.sleep(self._seconds * len(batch))
        return [self._hear(one.samples) for one in batch]

    def _hear(self, sound: Samples) -> Heard:
        shape = shape_of(sound)
        loud = np.flatnonzero(shape > -45)
        if len(loud) < 5:
            return Heard("", "en", 0.0, 0.9)
        shape = shape[loud[0] : loud[-1] + 1]
        best = max(self._known, key=lambda clip: self._alike(clip.shape, shape))
        said = int(np.ceil(len(best.words) * min(1.0, len(shape) / len(best.shape) + 0.02)))
        return Heard(" ".join(best.words[:said]), "en", 0.9, 0.01, model=self.name)

    def _alike(self, one: Samples, other: Samples) -> float:
        size = min(len(one), len(other))
        if abs(len(other) - len(one)) > 3 and len(other) > len(one):
            return -1.0
        near = [np.corrcoef(one[: size - s], other[s:size])[0, 1] for s in range(min(4, size - 3))]
        return float(np.nanmax(near)) - 0.2 * (1 - size / len(one))


class Counted:
    """An `Ear` that counts the samples it is fed."""

    fed = 0

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def feed(self, samples: Samples) -> Sequence[Frame]:
        Counted.fed += len(samples)
        return self._ear.feed(samples)


@dataclass
class Result:
    """One call: seconds from the last speech to the first sound, to silence after a barge-in, and of each stage."""

    answer: float = -1.0
    silence: float = -1.0
    stages: dict[str, float] = field(default_factory=dict)
    sent: int = 0


class Caller:
    """A caller on a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self.result = socket, Result()
        self.sounded, self.cleared = asyncio.Event(), asyncio.Event()
        self.sounded_at = self.cleared_at = 0.0
        self._tasks = set[asyncio.Future[None]]()

    async def read(self) -> None:
        """Take what comes; marks go back when their sound would have been played."""
        loop, until = asyncio.get_running_loop(), 0.0
        async for message in self._socket:
            now = time.monotonic()
            if message.type is WSMsgType.BINARY:
                until = max(until, now) + len(message.data) / 2 / RATE
                self.sounded_at = self.sounded_at or now
                self.sounded.set()
                continue
            frame = message.json()
            if frame["type"] == "mark":
                loop.call_later(max(0.0, until - now), self._back, frame)
            elif frame["type"] == "clear":
                until, self.cleared_at = 0.0, self.cleared_at or now
                self.cleared.set()
            elif frame["type"] == "latency" and not self.result.stages:
                self.result.stages = frame["seconds"]

    def _back(self, frame: dict[str, str]) -> None:
        if not self._socket.closed:
            task = asyncio.ensure_future(self._socket.send_json(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def say(self, sound: Samples, until: asyncio.Event | None = None) -> float:
        """Speak at the pace of speech; when the last sample was sent."""
        begun = time.monotonic()
        for number, start in enumerate(range(0, len(sound), STEP)):
            if until is not None and until.is_set():
                break
            await asyncio.sleep(max(0.0, begun + number * 0.02 - time.monotonic()))
            await self._socket.send_bytes(to_pcm16(sound[start : start + STEP]))
            self.result.sent += len(sound[start : start + STEP])
        return time.monotonic()


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.float32)


async def call(http: aiohttp.ClientSession, clip: Clip, other: Clip) -> Result:
    """Ask, wait for the answer, and talk over it."""
    async with http.ws_connect("/api/v1/voice") as socket:
        await socket.send_json({"type": "start", "rate": RATE})
        caller = Caller(socket)
        reading = asyncio.create_task(caller.read())
        await caller.say(silence(0.4))
        ended = await caller.say(clip.sound)
        await caller.say(silence(8.0), until=caller.sounded)
        if caller.sounded.is_set():
            caller.result.answer = caller.sounded_at - ended
            await caller.say(silence(0.3))
            caller.cleared_at = 0.0
            caller.cleared.clear()
            begun = time.monotonic()
            await caller.say(other.sound, until=caller.cleared)
            if caller.cleared.is_set():
                caller.result.silence = caller.cleared_at - begun
        await socket.send_json({"type": "stop"})
        with suppress(TimeoutError):
            await asyncio.wait_for(reading, 15)
        return caller.result


async def calls(http: aiohttp.ClientSession, known: Sequence[Clip], count: int, at_once: int) -> list[Result]:
    """So many calls."""
    free = asyncio.Semaphore(at_once)

    async def one(number: int) -> Result:
        async with free:
            return await call(http, known[number % len(known)], known[(number + 7) % len(known)])

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def serve(bot: Bot, recogniser: Recogniser, most: int) -> tuple[web.AppRunner, int]:
    """The server for a bot's calls."""
    activity, head = VoiceActivity.load(), TurnEnd.load()
    speaker = await open_speaker_of(bot.settings.voice)

    def ending(text: str, samples: Samples, spoken_ms: float, language: str) -> float:
        return head.run([Pause(text, samples, spoken_ms, language)])[0]

    async def unused(utterance: Utterance) -> Heard:
        raise AssertionError

    parts = Parts(unused, speaker, lambda: Counted(activity.open()), ending)
    voice = voice_of(bot, recogniser, speaker, parts)
    quiet = replace(voice.parts, manners=replace(voice.parts.manners, disclosure=""))
    settings = ServerSettings(port=0)
    channel = VoiceChannel(settings.limits, VoiceOffer(quiet, calls=most))
    runner = make_runner(build_app(Services(bot.manager, {}), settings, (channel,)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Milliseconds at p50 and p95, and of how many calls."""
    good = [value * 1000 for value in values if value >= 0]
    if not good:
        return {"n": 0}
    return {"p50": round(float(np.percentile(good, 50))), "p95": round(float(np.percentile(good, 95))), "n": len(good)}


def told(results: Sequence[Result]) -> dict[str, object]:
    """The figures of some calls."""
    stages = {stage: spread([one.stages.get(stage, -1.0) for one in results]) for stage in STAGES}
    return {
        "calls": len(results),
        "voice_to_voice_ms": spread([one.answer for one in results]),
        "barge_in_to_silence_ms": spread([one.silence for one in results]),
        "stages_ms": stages,
    }


async def measure(given: argparse.Namespace) -> dict[str, object]:
    """Everything."""
    known = clips()
    with tempfile.TemporaryDirectory() as folder:
        async with open_bot(given.project, Wiring(log=Path(folder) / "log.db", patient=True)) as bot:
            recogniser: Recogniser = Known(known, given.heard_in)
            if given.recogniser:
                from skills.speech import SpeechOptions, open_recogniser

                recogniser = open_recogniser(given.recogniser, SpeechOptions(state=Path(folder)))
            runner, port = await serve(bot, recogniser, 64)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                await calls(http, known, 2, 1)  # the first of all load and compile
                Counted.fed, cpu, wall = 0, time.process_time(), time.monotonic()
                alone = await calls(http, known, given.calls, given.at_once)
                cpu, wall = time.process_time() - cpu, time.monotonic() - wall
                eight = await calls(http, known, 24, 8)
            await runner.cleanup()
    sent = sum(one.sent for one in (*alone, *eight))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "voice.svg").write_text(
        histogram([one.stages for one in alone], [one.answer for one in alone]), "utf-8"
    )
    return {
        "recogniser": given.recogniser or f"stand-in, {given.heard_in} s", "at_once": given.at_once, **told(alone),
        "cpu_seconds_per_call": round(cpu / max(1, len(alone)), 2), "wall_seconds": round(wall),
        "eight_at_once": told(eight), "samples_sent": sent, "samples_not_taken": sent - Counted.fed,
    }  # fmt: skip


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--recogniser", default="")
    parser.add_argument("--heard-in", type=float, default=0.1)
    parser.add_argument("--project", type=Path, default=ROOT / "examples/shop")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks")
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
