"""Has an answer worded by a generator, sentence by sentence, and decides whether it may be said.

A sentence is shown as a draft once the chain of checks has passed it. At the first refusal, when the generator fails or
when time is up, the work stops and what was approved is said instead. Nothing here raises for what a generator did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation
from bot.core.errors import BotError
from bot.core.protocols import Generator, Piece, Prompt
from bot.models import Show
from skills.speaking import Chain, Verdict, sentence_ends

_log = logging.getLogger(__name__)
_UNFINISHED = "cut short"


@dataclass(frozen=True, slots=True)
class Manner:
    """How answers are to sound and how long they may take, in seconds. `by_channel` has other tones for some."""

    tone: str = ""
    by_channel: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int = 120
    deadline: float = 5.0

    def tone_for(self, channel: str) -> str:
        """The tone of a channel."""
        return self.by_channel.get(channel, self.tone)


@dataclass(slots=True)
class _Draft:
    """A text under way: `text` is what came so far, `shown` how much of it was checked and shown."""

    began: float
    text: str = ""
    shown: int = 0
    first: float = 0.0
    passed: dict[str, None] = field(default_factory=dict)
    cited: list[ev.Cited] = field(default_factory=list)


class Wording:
    """A generator behind its checks."""

    def __init__(self, generator: Generator, chain: Chain, manner: Manner | None = None) -> None:
        self._generator, self._chain, self._manner = generator, chain, manner or Manner()

    async def word(self, step: st.Generate, state: Conversation, show: Show) -> ev.Generated:
        """What the generator makes of an answer. See `bot.core.events.Generated`."""
        draft = _Draft(time.perf_counter())
        prompt = self._prompt(step, state)
        try:
            async with asyncio.timeout(self._manner.deadline):
                refusal = await self._write(prompt, step.hits, draft, show)
        except TimeoutError:
            refusal = ev.Generated(model="", fallback="late")
        except BotError as error:
            _log.warning("an answer is said as approved, the generator failed: %s", error)
            refusal = ev.Generated(model="", fallback="failed")
        seconds = time.perf_counter() - draft.began
        whole = ev.Generated(model="", text=draft.text, cited=tuple(draft.cited))
        found = whole if refusal is None else refusal
        failed = {check.name for check in found.checks}
        passed = tuple(ev.Check(name=name) for name in draft.passed if name not in failed)
        common = {"model": self._generator.id, "first": draft.first, "seconds": seconds}
        return found.model_copy(update={**common, "checks": passed + found.checks})

    def _prompt(self, step: st.Generate, state: Conversation) -> Prompt:
        # The talk ends with what the user said now; what was said since belongs to the answer under way.
        return Prompt(
            talk=state.history,
            passages=tuple(hit.answer or hit.text for hit in step.hits),
            approved=step.approved,
            tone=self._manner.tone_for(state.channel),
            language=state.current.understood.language if state.current and state.current.understood else "",
            max_tokens=self._manner.max_tokens,
        )

    async def _write(self, prompt: Prompt, hits: tuple[ev.Hit, ...], draft: _Draft, show: Show) -> ev.Generated | None:
        """Let it write and check what comes; None if all may be said, else why not."""
        pieces: AsyncGenerator[Piece, None] = self._generator.write(prompt)
        async with aclosing(pieces):
            async for piece in pieces:
                draft.text += piece.text
                before = draft.shown
                if piece.abstained:
                    return ev.Generated(model="", fallback="abstained")
                refusal = await self._check(hits, draft, piece.done)
                if refusal is not None:
                    return refusal
                if draft.shown > before and not piece.done:
                    show(draft.text[: draft.shown])
        return _whole(draft)

    async def _check(self, hits: tuple[ev.Hit, ...], draft: _Draft, done: bool) -> ev.Generated | None:
        """Check the sentences that are complete and were not checked yet; why the first bad one is refused."""
        sources = tuple(f"{hit.title}\n{hit.text}\n{hit.answer or ''}" for hit in hits)
        for end in sentence_ends(draft.text, draft.shown, done):
            start = draft.shown + len(draft.text[draft.shown : end]) - len(draft.text[draft.shown : end].lstrip())
            sentence = draft.text[start:end].rstrip()
            if sentence:
                verdict = await asyncio.to_thread(self._chain.check, sentence, sources)
                if verdict.refused:
                    return _refusal(sentence, verdict)
                draft.first = draft.first or time.perf_counter() - draft.began
                draft.passed.update(dict.fromkeys(verdict.passed))
                cited = ev.Cited(start=start, end=start + len(sentence), chunk=hits[verdict.source].chunk)
                draft.cited.append(cited)
            draft.shown = end
        return None


def _whole(draft: _Draft) -> ev.Generated | None:
    """Whether the text has an end."""
    draft.text = draft.text.rstrip()
    if not draft.text:
        return ev.Generated(model="", fallback="abstained")
    if draft.text[-1].isalnum() or draft.text[-1] in ",;-(":
        last = draft.text[draft.cited[-1].start :]
        check = ev.Check(name="end", detail=_UNFINISHED)
        return ev.Generated(model="", fallback="end", rejected=last, checks=(check,))
    return None


def _refusal(sentence: str, verdict: Verdict) -> ev.Generated:
    check = ev.Check(name=verdict.refused, detail=verdict.detail)
    return ev.Generated(model="", fallback=verdict.refused, rejected=sentence, checks=(check,))
