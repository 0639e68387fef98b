"""A turn as the chunks of a streamed chat completion.

The first chunk has the role, then the text comes as it grows: drafts of a generator, which passed the checks, and
messages as they are committed. The sources come with the last text, then the reason of the end, the usage if it was
asked for, and `[DONE]`. Comments keep proxies from closing the stream. A stream that cannot go on ends with an error
event and without `[DONE]`; the turn itself goes on, and the same request gets its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from aiohttp import web

from bot.core.errors import BotError, StorageUnavailable
from bot.core.events import Recorded, Replied, Settled
from bot.core.protocols import Draft, Gateway, Receipt
from connectors.openai_api_errors import api_problem
from connectors.openai_api_models import Chunk, ChunkChoice, Delta, Usage
from connectors.openai_api_text import Telling

T = TypeVar("T")
LOOK_EVERY = 0.25
"""Seconds between looks whether the client is still there."""
_COMMENT_EVERY = 60
"""Looks between two comments."""


class Cutter(Protocol):
    """See `connectors.openai_api.Tokens`."""

    def count(self, text: str) -> int: ...
    def cut(self, text: str, most: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Head:
    """What all chunks of an answer have in common, and what was asked for: at most `most` tokens; its `usage`."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    most: int | None
    prompt_tokens: int
    usage: bool

    def cut(self, text: str, tokens: Cutter) -> str:
        """As much of a text as was asked for."""
        return text if self.most is None else tokens.cut(text, self.most)


@dataclass(slots=True)
class Told:
    """What became of a stream: the tokens that were sent, and whether the client went away before its end."""

    tokens: int = 0
    left: bool = False


class _Writer:
    """Sends chunks."""

    def __init__(self, response: web.StreamResponse, head: Head, tokens: Cutter) -> None:
        self._response, self._head, self._tokens = response, head, tokens
        self.sent = ""

    async def begin(self) -> None:
        await self._choice(Delta(role="assistant", content=""))

    async def text(self, telling: Telling) -> bool:
        """Send what is new; whether more may be sent."""
        allowed = self._head.cut(telling.text, self._tokens)
        new, self.sent = allowed[len(self.sent) :], allowed
        if new:
            await self._choice(Delta(content=new))
        return allowed == telling.text

    async def end(self, telling: Telling) -> None:
        if cited := telling.cited(len(self.sent)):
            await self._choice(Delta(annotations=cited))
        await self._choice(Delta(), "stop" if self.sent == telling.text else "length")
        if self._head.usage:
            prompt, told = self._head.prompt_tokens, self._tokens.count(self.sent)
            usage = Usage(prompt_tokens=prompt, completion_tokens=told, total_tokens=prompt + told)
            await self._chunk(choices=[], usage=usage)
        await self._response.write(b"data: [DONE]\n\n")

    async def failed(self, error: BotError) -> None:
        problem = api_problem(503, error.code, f"{error}; send the same request again to get the answer", error)
        await self._response.write(f"event: error\ndata: {problem.model_dump_json()}\n\n".encode())

    async def comment(self) -> None:
        await self._response.write(b": still here\n\n")

    async def _choice(self, delta: Delta, finish: Literal["stop", "length"] | None = None) -> None:
        usage = {"usage": None} if self._head.usage else {}
        await self._chunk(choices=[ChunkChoice(index=0, delta=delta, logprobs=None, finish_reason=finish)], **usage)

    async def _chunk(self, **fields: Any) -> None:
        head = self._head
        chunk = Chunk(
            id=head.id,
            object="chat.completion.chunk",
            created=head.created,
            model=head.model,
            system_fingerprint=head.system_fingerprint,
            **fields,
        )
        await self._response.write(f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n".encode())


async def stream(
    request: web.Request, response: web.StreamResponse, gateway: Gateway, receipt: Receipt, head: Head, tokens: Cutter
) -> Told:
    """Stream the turn's answer. When the client goes away it ends; the turn goes on."""
    await response.prepare(request)
    writer, told = _Writer(response, head, tokens), Told()
    try:
        await writer.begin()
        await _tell(request, writer, gateway, receipt)
        await response.write_eof()
    except BotError as error:
        await writer.failed(error)
        await response.write_eof()
    except ConnectionError:
        told.left = True
    told.tokens = tokens.count(writer.sent)
    return told


async def _tell(request: web.Request, writer: _Writer, gateway: Gateway, receipt: Receipt) -> None:
    """Raises: ConnectionError, when the client is gone; BotError, when the log cannot be read on."""
    telling = Telling()
    async with aclosing(_with_pauses(_news(gateway, receipt))) as items:
        pauses = 0
        async for item in items:
            if item is None:
                pauses += 1
                _check_there(request)
                if pauses % _COMMENT_EVERY == 0:
                    await writer.comment()
                continue
            if isinstance(item, Draft):
                telling.draft(item.text)
            elif isinstance(item.event, Replied):
                telling.message(item.event.message)
            else:
                telling.end()
                await writer.text(telling)
                await writer.end(telling)
                return
            await writer.text(telling)
    raise StorageUnavailable("the bot is shutting down")


def _check_there(request: web.Request) -> None:
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError("the client is gone")


async def _news(gateway: Gateway, receipt: Receipt) -> AsyncIterator[Recorded | Draft]:
    """What is shown of the turn, up to its end."""
    async for news in gateway.follow_drafts(receipt.conversation, receipt.seq):
        if news.turn != receipt.turn:
            continue
        if isinstance(news, Draft) or isinstance(news.event, Replied | Settled):
            yield news
        if isinstance(news, Recorded) and isinstance(news.event, Settled):
            return


async def _with_pauses(items: AsyncIterator[T]) -> AsyncGenerator[T | None, None]:
    """The items; None each time that none came for a while."""
    upcoming = asyncio.ensure_future(anext(items))
    try:
        while True:
            done, _ = await asyncio.wait((upcoming,), timeout=LOOK_EVERY)
            if not done:
                yield None
                continue
            try:
                item = upcoming.result()
            except StopAsyncIteration:
                return
            yield item
            upcoming = asyncio.ensure_future(anext(items))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
