"""Wording by an OpenAI-compatible server: vLLM, Ollama, llama.cpp and others, over streamed chat completions.

The server is a stranger: it may hang, break off, repeat itself for ever or answer with something that is no text. Every
wait has a deadline and every buffer a bound, and whatever is wrong ends in `SkillError`, so that the approved text can
be said in time. It is asked again only before its first token. What it is asked stands in `skills.remote_prompt`.

The address is the operator's. Redirects are not followed, certificates are checked, proxies and cookies of the
environment are not used. The key appears in no message and no log.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from pydantic import BaseModel, JsonValue, SecretStr, ValidationError
from yarl import URL

from bot.core.errors import DeadlineExceeded, SettingsError, SkillError
from bot.core.protocols import Piece, Prompt
from skills.remote_address import checked_address, checked_key
from skills.remote_prompt import ABSTAIN, canary, messages
from skills.remote_text import Held, Leaked

NAME = "generator"
_KEY = "generator.api_key"
LINE_BYTES = 65_536
"""The longest line of a stream; one token's line has some 300 bytes."""
BODY_BYTES = 1_048_576
"""The longest list of models."""
TOKEN_CHARACTERS = 64
"""More characters a token than any text has: bounds the text of a server that does not count."""
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_PAUSE = 0.1
"""Seconds before it is asked again; more if it says so."""
_STOPS = 4
"""How many stop sequences such servers take; all are watched for here."""


class RemoteSettings(Protocol):
    """Where the server is and how long it may take, in seconds; the `generator` section of the settings."""

    @property
    def base_url(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def api_key(self) -> SecretStr | None: ...
    @property
    def connect_s(self) -> float: ...
    @property
    def first_s(self) -> float: ...
    @property
    def between_s(self) -> float: ...
    @property
    def total_s(self) -> float: ...
    @property
    def retries(self) -> int: ...


class _Delta(BaseModel):
    content: str | None = None
    tool_calls: list[JsonValue] | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Chunk(BaseModel):
    """A line of the stream; only what is used."""

    choices: list[_Choice] = []
    error: JsonValue = None


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class _NotYet(Exception):
    """The server did not take the request; it may be asked again after so many seconds."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Clock:
    """The moments, on the loop's clock, until which the first token and the whole text must have come."""

    first: float
    total: float

    @classmethod
    def start(cls, settings: RemoteSettings) -> _Clock:
        now = asyncio.get_running_loop().time()
        return cls(now + min(settings.first_s, settings.total_s), now + settings.total_s)


class RemoteGenerator:
    """A `Generator` over a server. Used from one event loop; close it at the end."""

    def __init__(self, settings: RemoteSettings, base: URL, session: aiohttp.ClientSession) -> None:
        self._settings, self._base, self._session = settings, base, session

    @classmethod
    async def connect(cls, settings: RemoteSettings) -> RemoteGenerator:
        """A generator for the server that the settings name; the server itself is not asked yet (see `check`).

        Raises:
            SettingsError: the address, the model or the key cannot be used; says what to change.
        """
        base = _address(settings)
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {checked_key(settings.api_key, _KEY)}"
        session = aiohttp.ClientSession(
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=LINE_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_s),
            trust_env=False,
        )
        return cls(settings, base, session)

    @property
    def id(self) -> str:
        """The model's name and where it runs; such servers tell no digest."""
        return f"{self._settings.model} at {self._base.host}:{self._base.port}"

    async def close(self) -> None:
        """Let go of all connections; texts under way end with an error."""
        await self._session.close()

    async def check(self) -> None:
        """Ask whether the server is there, takes the key and has the model.

        Raises:
            SkillError: it is not, or does not; says what to do.
        """
        try:
            async with asyncio.timeout(self._settings.first_s):
                known = await self._models()
        except TimeoutError:
            raise _late("did not tell its models", self._settings.first_s) from None
        except (aiohttp.ClientError, OSError, _NotYet) as error:
            raise _error(f"at {self._base} does not answer: {_words(error)}") from None
        names = [model.id for model in known.data]
        if self._settings.model not in names:
            shown = ", ".join(map(repr, names[:8]))[:300] or "none"
            raise _error(f"has no model {self._settings.model!r}; set `generator.model` to one of: {shown}")

    async def write(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """See `Generator.write`. Closing it closes the connection, which stops the server's work.

        Raises:
            SkillError: the server failed, or what it wrote is no text; what was given before must not be shown.
            DeadlineExceeded: it was too slow.
        """
        clock = _Clock.start(self._settings)
        held = Held(stops=prompt.stop, forbidden=canary(prompt), abstain=ABSTAIN)
        room = max(prompt.max_tokens, 1) * TOKEN_CHARACTERS
        async with aclosing(self._tokens(prompt, clock)) as tokens:
            while not held.ended:
                token = await self._next(tokens, clock, held.begun)
                if token is None:
                    break
                room -= len(token)
                if room < 0 or "\0" in token:
                    raise _error("writes what is no answer: " + ("U+0000" if room >= 0 else "it does not end"))
                if ready := _taken(held, token):
                    yield Piece(ready)
        rest = _taken(held, None)
        yield Piece(rest, done=True, abstained=held.abstained or not held.begun)

    async def _next(self, tokens: AsyncGenerator[str, None], clock: _Clock, begun: bool) -> str | None:
        """The next token before its deadline; None at the end."""
        settings, now = self._settings, asyncio.get_running_loop().time()
        until = min(now + settings.between_s, clock.total) if begun else clock.first
        try:
            async with asyncio.timeout_at(until):
                return await anext(tokens, None)
        except TimeoutError:
            if not begun:
                raise _late("did not begin", settings.first_s) from None
            slow = until < clock.total
            raise _late(*("did not go on", settings.between_s) if slow else ("did not end", settings.total_s)) from None

    async def _tokens(self, prompt: Prompt, clock: _Clock) -> AsyncGenerator[str, None]:
        """The server's tokens; it is asked again, as often as allowed, as long as none has come."""
        for left in range(self._settings.retries, -1, -1):
            begun = False
            try:
                async with aclosing(self._once(prompt)) as tokens:
                    async for token in tokens:
                        begun = True
                        yield token
                return
            except (_NotYet, aiohttp.ClientError, OSError) as error:
                wait = max(_PAUSE, error.wait if isinstance(error, _NotYet) else 0.0)
                late = asyncio.get_running_loop().time() + wait >= clock.first
                if begun or late or not left:
                    raise _error(_words(error)) from None
            await asyncio.sleep(wait)

    async def _once(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """The tokens of one request. Left before its end, the connection is closed."""
        ended, url = False, self._base / "chat" / "completions"
        async with self._session.post(url, json=self._body(prompt), allow_redirects=False) as response:
            await _expect(response, "text/event-stream")
            async with aclosing(_lines(response.content)) as lines:
                async for line in lines:
                    if line == "[DONE]":
                        return
                    token, over = _token(line)
                    ended = ended or over
                    if token:
                        yield token
        if not ended:
            raise _NotYet("broke off before its end")

    def _body(self, prompt: Prompt) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = {
            "model": self._settings.model,
            "messages": [{"role": role, "content": words} for role, words in messages(prompt)],
            "stream": True,
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "seed": prompt.seed,
        }
        return found | ({"stop": list(prompt.stop[:_STOPS])} if prompt.stop else {})

    async def _models(self) -> _Models:
        async with self._session.get(self._base / "models", allow_redirects=False) as response:
            await _expect(response, "application/json")
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > BODY_BYTES:
                    raise _error("lists models without end")
        try:
            return _Models.model_validate_json(bytes(body))
        except ValidationError:
            raise _error(f"did not list its models at {self._base / 'models'}; check `generator.base_url`") from None


def _address(settings: RemoteSettings) -> URL:
    """The base address, checked.

    Raises:
        SettingsError: it is missing, or cannot be used.
    """
    if not settings.base_url or not settings.model:
        raise SettingsError("a generator behind a server needs `generator.base_url` and `generator.model`")
    return checked_address(settings.base_url, "generator.base_url", settings.api_key, _KEY)


async def _expect(response: aiohttp.ClientResponse, media: str) -> None:
    """What the server says beyond its status is not repeated: it may hold the key, or the customer's words.

    Raises:
        _NotYet: it may be asked again.
        SkillError: it refuses, or answers with something else.
    """
    status = response.status
    if status in _AGAIN:
        raise _NotYet(f"answers {status}", _retry_after(response))
    if status in (401, 403):
        raise _error(f"answers {status}: it does not take the key; check `generator.api_key`")
    if 300 <= status < 400:
        raise _error(f"answers {status}: it sends us elsewhere; put the right address into `generator.base_url`")
    if status == 404:
        raise _error("answers 404: no such address or model; check `generator.base_url` and `generator.model`")
    if status != 200:
        raise _error(f"answers {status}; its own log tells why")
    if response.content_type != media or response.headers.get("Content-Encoding", "identity") != "identity":
        raise _error(f"answers with {response.content_type[:60]!r}, not {media!r}; check `generator.base_url`")


def _retry_after(response: aiohttp.ClientResponse) -> float:
    try:
        seconds = float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[str, None]:
    """The data of the server-sent events, a line each; comments and other fields are left out.

    Raises:
        SkillError: a line is too long, or no UTF-8.
    """
    rest = b""
    async for part in content.iter_any():
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if (data := _data(line)) is not None:
                yield data
        if len(rest) > LINE_BYTES:
            raise _error("streams a line without end")
    if (data := _data(rest)) is not None:
        yield data


def _data(line: bytes) -> str | None:
    field, _, value = line.partition(b":")
    if field != b"data":
        return None
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise _error("streams bytes that are no UTF-8") from None


def _token(line: str) -> tuple[str, bool]:
    """The text of a chunk, and whether it ends the answer.

    Raises:
        SkillError: it is no chunk of an answer.
    """
    try:
        chunk = _Chunk.model_validate_json(line)
    except ValidationError:
        raise _error("streams something that is no chat completion") from None
    if chunk.error is not None:
        raise _error("broke off with an error; its own log tells why")
    if not chunk.choices:
        return "", False
    choice = chunk.choices[0]
    if choice.delta.tool_calls:
        raise _error("wants to call a tool; it was offered none")
    if choice.finish_reason == "content_filter":
        raise _error("withheld its answer")
    return choice.delta.content or "", choice.finish_reason is not None


def _taken(held: Held, token: str | None) -> str:
    try:
        return held.take(token)
    except Leaked:
        raise _error("repeats its instructions") from None


def _words(error: Exception) -> str:
    """What went wrong on the way, without anything that the server said."""
    return str(error) if isinstance(error, _NotYet) else f"cannot be reached ({type(error).__name__})"


def _error(what: str) -> SkillError:
    return SkillError(NAME, f"the server {what}")


def _late(what: str, seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(NAME, f"the server {what} within {seconds:g} s")
