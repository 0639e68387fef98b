"""A log in memory and a desk whose model knows words: "parcel" is track, "money" is refund, "hello" is greet."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core import events as ev
from bot.core.protocols import Understanding
from tests.fakes import MemoryStore
from training.importer import import_file
from training.review import Desk

KNOWN = {"parcel": "track", "money": "refund", "hello": "greet"}
LABELS = {"track": "Where is it", "refund": "Money back", "greet": "Greeting"}
EXAMPLES = (("my parcel is late", "track"), ("give my money back", "refund"), ("hello there", "greet"))


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Counts of words, at unit length."""
    found = np.zeros((len(texts), 256), np.float32)
    for row, text in zip(found, texts, strict=True):
        for word in text.casefold().replace("?", "").split():
            row[zlib.crc32(word.encode()) % 256] += 1
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-6), np.float32)


def read(texts: Sequence[str]) -> list[Understanding]:
    """Shares the probability among the intents whose words are there."""
    found = []
    for text, vector in zip(texts, vectors(texts), strict=True):
        named = [intent for word, intent in KNOWN.items() if word in text]
        others = [intent for intent in LABELS if intent not in named]
        share = {**dict.fromkeys(named, 0.9 / max(len(named), 1)), **dict.fromkeys(others, 0.1 / max(len(others), 1))}
        ranked = tuple(ev.Scored(name=name, score=score) for name, score in share.items())
        in_scope = 0.95 if named else 0.1
        found.append(Understanding(text, "en", True, ranked, in_scope, 0.5, (), "b1", vector))
    return found


def desk(**changes: Any) -> Desk:
    return Desk(**{"read": read, "vectors": vectors, "spans": read, "labels": LABELS, "examples": EXAMPLES, **changes})


def user(text: str, intent: str = "track", **more: Any) -> dict[str, Any]:
    return {"speaker": "user", "text": text, "intent": intent, **more}


def bot(text: str = "All right.", **more: Any) -> dict[str, Any]:
    return {"speaker": "bot", "text": text, **more}


def agent(text: str) -> dict[str, Any]:
    return {"speaker": "agent", "text": text}


async def logged(folder: Path, *talks: Sequence[dict[str, Any]], outcome: str = "resolved") -> MemoryStore:
    """A store with these conversations, c0, c1 and so on."""
    path, store = folder / "talks.jsonl", MemoryStore()
    rows = [
        {"id": f"c{n}", "channel": "web", "turns": list(turns), "outcome": outcome} for n, turns in enumerate(talks)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    await import_file(path, store)
    return store


async def asked(folder: Path, *texts: str) -> MemoryStore:
    """A store with one conversation of one turn for each text."""
    return await logged(folder, *([user(text), bot()] for text in texts))
