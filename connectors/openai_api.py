"""The bot as a model behind an OpenAI-compatible server: `/v1/models`, `/v1/chat/completions`, `/v1/embeddings`.

A request is a turn of a conversation (`connectors.openai_api_talks` finds it), as durable as on any channel: a client
that goes away stops its stream, not the turn, and a resend gets the turn's answer. Only the last message is new to the
bot; what a client claims about the talk before, and its system messages, are not believed and not obeyed.

Everything here needs a key; before there is one, this part of the server is off.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from aiohttp import web

from bot.core.messages import Address, Inbound, Message, Text
from bot.core.protocols import Capabilities, Gateway, Receipt
from connectors.http import Answer, Call, Route
from connectors.limits import Limits
from connectors.openai_api_errors import SwitchedOff, TooLong, UnknownModel, Unsupported, WrongKey
from connectors.openai_api_models import (
    AnswerChoice,
    AnswerMessage,
    ChatCompletion,
    ChatHeaders,
    ChatRequest,
    ContentPart,
    EmbeddingItem,
    EmbeddingList,
    EmbeddingRequest,
    EmbeddingUsage,
    ModelCard,
    ModelList,
    ModelSegment,
    Usage,
)
from connectors.openai_api_quota import Client, KeyRing, Quotas
from connectors.openai_api_streaming import Head, stream
from connectors.openai_api_talks import RESENT_WITHIN, Branch, Place, Places, Talk, read_talk
from connectors.openai_api_text import Telling
from connectors.turns import settled

Floats = npt.NDArray[np.float32]
CLIENT: web.RequestKey[Client] = web.RequestKey("openai_client", Client)
MOST_INPUTS = 256
"""Texts of one request for embeddings."""
_A_MESSAGE = 4
"""Tokens that a message counts beside its text, for its role and its ends."""
_CHARACTERS_PER_TOKEN = 32
"""No text of people has more: longer ones are refused before they are counted."""
_LOCKS = 64
_AT_ONCE = 16
"""Texts that are encoded before messages of other people get their turn."""


class Tokens(Protocol):
    """Counts in tokens of one vocabulary."""

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        ...

    def cut(self, text: str, most: int) -> str:
        """The beginning of a text that has so many tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server offers. `model` and `embedder` are names; `embed` gives unit vectors, float32 (texts, dimension).

    `context` and `embedder_context` are the tokens that a request's messages, and one text to embed, may have.
    `bundle` tells which models are in use; `branch` copies a conversation.
    """

    model: str
    embedder: str
    tokens: Tokens
    embed: Callable[[Sequence[str]], Awaitable[Floats]]
    bundle: Callable[[], str]
    branch: Branch
    keys: KeyRing
    quotas: Quotas
    context: int = 16_384
    embedder_context: int = 128
    since: int = 0
    resent_within: float = RESENT_WITHIN


class OpenAIChannel:
    """The routes below `/v1`."""

    name = "openai"
    capabilities = Capabilities(buttons=False, cards=False)

    def __init__(self, limits: Limits, offer: Offer) -> None:
        self._limits, self._offer = limits, offer
        self._gateway: Gateway | None = None
        self._locks = [asyncio.Lock() for _ in range(_LOCKS)]
        self._counts: Counter[str] = Counter()

    @property
    def model(self) -> str:
        """The bot's name as a model."""
        return self._offer.model

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages."""
        self._gateway = gateway

    async def close(self) -> None:
        """Stop taking messages."""
        self._gateway = None

    async def drain(self) -> None:
        """Streams end with their turns."""

    def stats(self) -> Mapping[str, float]:
        """Tokens read and written, texts embedded, streams that their clients left."""
        names = ("prompt_tokens", "completion_tokens", "embedded", "streams_left")
        return {f"openai_{name}_total": self._counts[name] for name in names}

    def routes(self) -> Sequence[Route]:
        """The table. The key is looked at before the body is read."""
        common: dict[str, Any] = {"door": "key", "admit": self.admit}
        chat, embeddings, models = "/v1/chat/completions", "/v1/embeddings", "/v1/models"
        return (
            Route("GET", models, self._models, "The bot, and its encoder, as models", {200: ModelList},
                  errors=(404, 429), **common),
            Route("GET", models + "/{model:.+}", self._model, "One of them", {200: ModelCard}, segments=ModelSegment,
                  errors=(404, 429), **common),
            Route("POST", chat, self._chat, "Say something and get the bot's answer", {200: ChatCompletion},
                  body=ChatRequest, headers=ChatHeaders, stream="text/event-stream", large=True,
                  errors=(404, 409, 429, 503, 504), **common),
            Route("POST", embeddings, self._embeddings, "Unit vectors of texts", {200: EmbeddingList},
                  body=EmbeddingRequest, large=True, errors=(404, 429, 503), **common),
        )  # fmt: skip

    def admit(self, request: web.Request) -> None:
        """Find out who asks, and count the request.

        Raises:
            SwitchedOff, WrongKey, OverQuota.
        """
        if not self._offer.keys.known():
            raise SwitchedOff("this part of the bot is off; the operator switches it on with: bot keys add NAME")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        client = self._offer.keys.find(given.strip()) if scheme.lower() == "bearer" else None
        if client is None:
            raise WrongKey("the key is missing, wrong or revoked; send 'Authorization: Bearer KEY'")
        self._offer.quotas.take(client, "requests")
        request[CLIENT] = client

    async def _models(self, call: Call[None, None]) -> Answer:
        return Answer(200, ModelList(data=self._cards()), headers=self._left(call))

    async def _model(self, call: Call[None, None]) -> Answer:
        self._check_model(call.segments.model, *(card.id for card in self._cards()))
        return Answer(200, next(card for card in self._cards() if card.id == call.segments.model))

    async def _chat(self, call: Call[ChatRequest, None]) -> Answer | web.StreamResponse:
        body, client, offer = call.body, call.request[CLIENT], self._offer
        self._check_model(body.model, offer.model)
        prompt = self._prompt_tokens(body)
        talk = read_talk(body, call.headers)
        offer.quotas.take(client, "tokens", prompt)
        receipt = await self._submit(talk, client)
        self._counts["prompt_tokens"] += prompt
        name = sha256(f"{receipt.conversation} {receipt.turn}".encode()).hexdigest()[:32]
        head = Head(
            id=f"chatcmpl-{name}",
            created=int(time.time()),
            model=offer.model,
            system_fingerprint=offer.bundle(),
            most=body.max_completion_tokens or body.max_tokens,
            prompt_tokens=prompt,
            usage=bool(body.stream_options and body.stream_options.include_usage),
        )
        headers = self._left(call) | {"X-Conversation": receipt.conversation.encode("ascii", "replace").decode()}
        if not body.stream:
            return await self._answer(call, receipt, head, headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", **headers})
        told = await stream(call.request, response, self._open_gateway(), receipt, head, offer.tokens)
        self._used(client, told.tokens)
        self._counts["streams_left"] += told.left
        return response

    async def _answer(
        self, call: Call[ChatRequest, None], receipt: Receipt, head: Head, headers: dict[str, str]
    ) -> Answer:
        outcome = await settled(receipt, self._limits.turn_seconds)
        telling = Telling()
        for message in outcome.messages:
            telling.message(message)
        telling.end()
        text = head.cut(telling.text, self._offer.tokens)
        tokens = self._offer.tokens.count(text)
        self._used(call.request[CLIENT], tokens)
        said = AnswerMessage(content=text, annotations=telling.cited(len(text)))
        choice = AnswerChoice(message=said, finish_reason="stop" if text == telling.text else "length")
        usage = Usage(
            prompt_tokens=head.prompt_tokens, completion_tokens=tokens, total_tokens=head.prompt_tokens + tokens
        )
        answer = ChatCompletion(
            id=head.id,
            created=head.created,
            model=head.model,
            choices=[choice],
            usage=usage,
            system_fingerprint=head.system_fingerprint,
        )
        return Answer(200, answer, exclude_none=False, headers=headers)

    async def _submit(self, talk: Talk, client: Client) -> Receipt:
        """Commit the message where it belongs. Requests that may begin the same conversation wait for each other."""
        gateway, prefix = self._open_gateway(), f"openai-{client.id}"
        root = talk.name or talk.marks[0]
        async with self._locks[sha256(f"{prefix} {root}".encode()).digest()[0] % _LOCKS]:
            place = await Places(gateway, self._offer.branch, self._offer.resent_within).find(talk, prefix)
            return await gateway.submit(_inbound(talk, place, client))

    async def _embeddings(self, call: Call[EmbeddingRequest, None]) -> Answer:
        body, client, offer = call.body, call.request[CLIENT], self._offer
        self._check_model(body.model, offer.embedder)
        texts = _texts(body.input)
        tokens = self._input_tokens(texts)
        offer.quotas.take(client, "tokens", tokens)
        self._counts["embedded"] += len(texts)
        vectors = [await offer.embed(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
        rows = np.concatenate(vectors).astype("<f4")
        if body.dimensions not in (None, rows.shape[1]):
            raise Unsupported(f"this encoder has {rows.shape[1]} dimensions; leave `dimensions` out", "dimensions")
        coded = body.encoding_format == "base64"
        data = [
            EmbeddingItem(index=index, embedding=b64encode(row.tobytes()).decode() if coded else row.tolist())
            for index, row in enumerate(rows)
        ]
        usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
        found = EmbeddingList(data=data, model=offer.embedder, usage=usage)
        return Answer(200, found, headers=self._left(call))

    def _cards(self) -> list[ModelCard]:
        return [ModelCard(id=name, created=self._offer.since) for name in (self._offer.model, self._offer.embedder)]

    def _check_model(self, asked: str, *known: str) -> None:
        if asked not in known:
            names = " or ".join(map(repr, known))
            raise UnknownModel(f"there is no model {asked[:100]!r} for this; ask for {names}")

    def _prompt_tokens(self, body: ChatRequest) -> int:
        """The tokens of all messages.

        Raises:
            TooLong: there are more than we read.
        """
        contents = [message.content for message in body.messages if message.content]
        texts = [text for content in contents for text in _pieces(content)]
        most = self._offer.context
        total = self._count(texts, most)
        total += _A_MESSAGE * len(body.messages)
        if total > most:
            raise TooLong(f"this model's context is {most} tokens; the messages have {total}. Send fewer of them")
        return total

    def _input_tokens(self, texts: Sequence[str]) -> int:
        most = self._offer.embedder_context
        counts = [self._count([text], most) for text in texts]
        for index, count in enumerate(counts):
            if count > most:
                raise TooLong(f"this encoder reads {most} tokens of a text; text {index} has {count}", "input")
        return sum(counts)

    def _count(self, texts: Sequence[str], most: int) -> int:
        """The tokens of texts; of those that are far too long, a number that surely is too large."""
        characters = sum(map(len, texts))
        if characters > most * _CHARACTERS_PER_TOKEN:
            return characters // _CHARACTERS_PER_TOKEN + 1
        return sum(map(self._offer.tokens.count, texts))

    def _used(self, client: Client, tokens: int) -> None:
        self._offer.quotas.charge(client, tokens)
        self._counts["completion_tokens"] += tokens

    def _left(self, call: Call[Any, None]) -> dict[str, str]:
        return self._offer.quotas.headers(call.request[CLIENT])

    def _open_gateway(self) -> Gateway:
        assert self._gateway is not None, "the server opens a channel before it serves"
        return self._gateway


def _inbound(talk: Talk, place: Place, client: Client) -> Inbound:
    sender = talk.person or client.name
    address = Address(channel=OpenAIChannel.name, conversation=place.conversation, sender=sender)
    message = Message(id=f"u.{place.key}", parts=(Text(text=talk.words),))
    return Inbound(address=address, message=message, key=place.key, metadata={"key": client.name})


def _pieces(content: str | Sequence[ContentPart]) -> Iterable[str]:
    return (content,) if isinstance(content, str) else (part.text or "" for part in content)


def _texts(given: str | Sequence[Any]) -> list[str]:
    """The texts to embed.

    Raises:
        Unsupported: they are none.
    """
    texts = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(text, str) for text in texts):
        raise Unsupported("token ids of another tokenizer mean nothing here; send texts", "input")
    if not 0 < len(texts) <= MOST_INPUTS:
        raise Unsupported(f"expected 1 to {MOST_INPUTS} texts, found {len(texts)}", "input")
    if not all(texts):
        raise Unsupported("a text must not be empty", "input")
    return texts
