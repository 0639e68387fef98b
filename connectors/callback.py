"""Rasa's callback channel: a message is answered by "success" at once, the bot's messages are posted to one address.

They go out one by one and in order, each under an `Idempotency-Key` that stays the same when it is sent again, until
the address answers with 2xx; that is noted as `Delivered`, so a restart sends only what is still owed. Each arrives at
least once, and twice only if we die between the answer and the note. The address stands in credentials.yml; nothing
that a user sends can change it, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote

import structlog
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, web
from pydantic import BaseModel

from bot.core.errors import BotError, Refused
from bot.core.events import Delivered, Recorded, Replied
from bot.core.protocols import Capabilities, Gateway
from connectors.credentials import CallbackCredentials, checked
from connectors.http import Answer, Call, Route, Setup
from connectors.limits import Limits
from connectors.owing import Ledger, read
from connectors.rasa_request import RasaRequest, inbound
from connectors.rendering import rasa_messages
from connectors.turns import IdempotencyHeaders, idempotency_key

AT_ONCE = 16
"""Requests under way at a time."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before a message is sent again; doubled each time up to the longest."""
LOOK_EVERY = 1.0
_REMEMBERED = 5_000
_log = structlog.get_logger("understudy.callback")


class _Later(Exception):
    """The bot stops; its next run goes on."""


class Status(BaseModel):
    """Rasa's health answer of a channel."""

    status: str


class CallbackChannel:
    """`POST /webhooks/callback/webhook`."""

    name = "callback"
    capabilities = Capabilities(markdown=False, push=True)

    def __init__(self, limits: Limits, setup: Setup = Setup()) -> None:  # noqa: B008 - a frozen value
        self.first_wait, self.look_every = FIRST_WAIT, LOOK_EVERY
        self._to = checked(CallbackCredentials, self.name, setup.credentials)
        self._limits, self._setup = limits, setup
        self._gateway: Gateway | None = None
        self._http: ClientSession | None = None
        self._looker: asyncio.Task[None] | None = None
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._wanted: set[str] = set()
        self._ledgers: OrderedDict[str, Ledger] = OrderedDict()
        self._stopping = False
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._delivered = self._repeated = 0

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages, and send what an earlier run left undelivered."""
        self._gateway = gateway
        self._http = ClientSession(
            timeout=ClientTimeout(total=10.0),
            cookie_jar=DummyCookieJar(),
            headers=self._to.headers | self._to.authorization,
        )
        if self._setup.changed is not None:
            self._looker = asyncio.create_task(self._look())

    def stats(self) -> Mapping[str, float]:
        """Conversations with messages to deliver, and how many messages were sent, and sent again."""
        return {
            "callback_conversations": len(self._workers),
            "callback_delivered_total": self._delivered,
            "callback_repeated_total": self._repeated,
        }

    async def drain(self) -> None:
        """Let messages under way arrive; what is not taken at once goes out after the restart."""
        self._stopping = True
        if self._workers:
            await asyncio.wait(self._workers.values(), timeout=max(0.0, self._limits.drain_seconds - 2))

    async def close(self) -> None:
        """Stop."""
        tasks = [*self._workers.values(), *([self._looker] if self._looker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        self._gateway = None

    def routes(self) -> Sequence[Route]:
        """Rasa's two addresses."""
        return (
            Route("GET", "/webhooks/callback/", self._health, "Whether the channel is there", {200: Status}),
            Route(
                "POST",
                "/webhooks/callback/webhook",
                self._webhook,
                "Say something; the bot's messages are posted to the address in credentials.yml",
                {200: "text/plain"},
                body=RasaRequest,
                headers=IdempotencyHeaders,
                errors=(409, 429, 503),
            ),
        )

    async def _health(self, call: Call[None, None]) -> Answer:
        return Answer(200, Status(status="ok"))

    async def _webhook(self, call: Call[RasaRequest, None]) -> web.StreamResponse:
        gateway = self._gateway
        assert gateway is not None, "the server opens a channel before it serves"
        key = idempotency_key(call.body.message_id, call.headers)
        receipt = await gateway.submit(inbound(self.name, call.body, key, self._setup.payloads))
        self._attend(receipt.conversation)
        return web.Response(text="success")

    # Delivery

    async def _look(self) -> None:
        """See which conversations have changed: after a restart all that may be owed something, then those that speak
        without having been spoken to, as reminders do."""
        assert self._setup.changed is not None
        seen = 0
        while True:
            with contextlib.suppress(BotError):  # the log cannot be read just now
                conversations, seen = await self._setup.changed(self.name, seen)
                for conversation in conversations:
                    self._attend(conversation)
            await asyncio.sleep(self.look_every)

    def _attend(self, conversation: str) -> None:
        """See to it that a worker looks at the conversation from now on."""
        self._wanted.add(conversation)
        if conversation not in self._workers:
            self._workers[conversation] = asyncio.create_task(self._work(conversation))

    async def _work(self, conversation: str) -> None:
        try:
            while conversation in self._wanted:
                self._wanted.discard(conversation)
                await self._deliver_all(conversation)
        except _Later:
            pass
        except BotError as error:  # erased, or damaged; the log of the store says more
            _log.error("callback_given_up", reason=error.code)
        finally:
            del self._workers[conversation]

    async def _deliver_all(self, conversation: str) -> None:
        """Send what is owed until every turn is over."""
        gateway = self._gateway
        assert gateway is not None
        ledger = self._ledger(conversation)
        await self._patiently(lambda: read(gateway, conversation, ledger))
        for recorded in list(ledger.owed.values()):
            await self._deliver(recorded, ledger)
        if not ledger.open:
            return
        async for recorded in gateway.follow(conversation, ledger.seq):
            if ledger.take(recorded):
                await self._deliver(recorded, ledger)
            if not ledger.open:
                return

    def _ledger(self, conversation: str) -> Ledger:
        """What we know of a conversation, so that its past is read once; forgets those used longest ago."""
        ledger = self._ledgers.setdefault(conversation, Ledger(self.name))
        self._ledgers.move_to_end(conversation)
        if len(self._ledgers) > _REMEMBERED:
            self._ledgers.popitem(last=False)
        return ledger

    async def _deliver(self, recorded: Recorded, ledger: Ledger) -> None:
        assert isinstance(recorded.event, Replied)
        gateway, conversation, message = self._gateway, recorded.conversation, recorded.event.message
        assert gateway is not None
        for part, shown in enumerate(rasa_messages((message,), conversation).root):
            key = f"{quote(conversation, safe='')}:{message.id}:{part}"
            await self._post(shown.model_dump_json(exclude_none=True).encode(), key)
        fact = Delivered(message=message.id, channel=self.name)
        await self._patiently(lambda: gateway.record(conversation, fact))
        ledger.owed.pop(message.id, None)
        self._delivered += 1

    async def _post(self, body: bytes, key: str) -> None:
        """Post a message until it is taken; waits longer each time."""
        wait, tried = self.first_wait, 0
        while (asked := await self._try(body, key)) is not None:
            if self._stopping:
                raise _Later
            tried += 1
            self._repeated += 1
            if tried in (1, 10) or tried % 100 == 0:
                _log.warning("callback_not_taken", url=self._to.url.host, tried=tried, reason=asked[0])
            await asyncio.sleep(max(asked[1], wait * random.uniform(0.8, 1.2)))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _try(self, body: bytes, key: str) -> tuple[str, float] | None:
        """None when the message was taken; otherwise why not, and the seconds to wait that were asked for."""
        http, to = self._http, self._to
        assert http is not None
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        params = {**to.params, **({to.token_name: to.token.get_secret_value()} if to.token else {})}
        try:
            async with (
                self._at_once,
                http.post(str(to.url), data=body, headers=headers, params=params, allow_redirects=False) as answer,
            ):
                return None if 200 <= answer.status < 300 else (f"status {answer.status}", _asked_to_wait(answer))
        except (ClientError, TimeoutError, OSError) as error:
            return type(error).__name__, 0.0

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something with the log, as soon as it can be done."""
        while True:
            try:
                await work()
                return
            except Refused as error:
                await asyncio.sleep(error.retry_after)


def _asked_to_wait(answer: ClientResponse) -> float:
    written = answer.headers.get("Retry-After", "")
    return min(float(written), 300.0) if written.isdecimal() and len(written) < 6 else 0.0
