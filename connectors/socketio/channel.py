"""The Socket.IO channel: Rasa's events over python-socketio, its conversations kept by our log.

With `session_persistence` a conversation is named by the client's `session_id` (or one that we give) and survives
reconnects; without, by the connection, as in Rasa. A client that comes back asks for its session again and gets what
it has missed. One that adds `last_id` to `session_request` counts for itself: it is answered by an object instead of a
bare id, and every frame carries an `id`.

A session id is the key to its conversation. Conversations that began on another channel are not given to anybody here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, JsonValue
from socketio.exceptions import ConnectionRefusedError as Unwelcome

from bot.core.errors import BotError, InputError, Overloaded, Refused, SettingsError
from bot.core.events import Started
from bot.core.messages import Address, Inbound, Message, Text
from bot.core.protocols import Capabilities, Gateway, Receipt
from connectors.credentials import SocketIOCredentials, checked
from connectors.http import Answer, Call, Route, Setup, Throttle
from connectors.limits import Limits
from connectors.socketio.engine import Server, Wire
from connectors.socketio.events import SessionRequest, Uttered, read
from connectors.socketio.frames import Frame
from connectors.socketio.line import CHANNEL, Arrived, Line, Listener, Place

PAYLOAD_BYTES = 1_000_000
PING_SECONDS, PONG_SECONDS = 25, 20
METADATA_CHARACTERS = 65_536
_OTHERS = ("rest", "callback", "web")
_log = structlog.get_logger("understudy.socketio")


class _OneLine(logging.Filter):
    """What the library reports is mostly the fault of a client: a line says where, not what was sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
            _log.warning("socketio_event_failed", kind=type(error).__name__, at=place)
        return False


_library = logging.getLogger("understudy.socketio.library")
_library.setLevel(logging.ERROR)
_library.addFilter(_OneLine())


class Status(BaseModel):
    """Rasa's health answer of a channel."""

    status: str


class Client:
    """A connected client: the peer of its line."""

    def __init__(self, channel: SocketIOChannel, sid: str, wire: Wire) -> None:
        self.sid, self.wire = sid, wire
        self.line: Line | None = None
        self._channel = channel

    async def show(self, frame: Frame) -> int:
        """See `Peer`."""
        return await self._channel.emit(self.sid, self._channel.settings.bot_message_evt, frame)

    def drop(self) -> None:
        """See `Peer`."""
        self._channel.spawn(self._channel.hang_up(self.sid))


class SocketIOChannel:
    """`/socket.io/`."""

    name = CHANNEL
    capabilities = Capabilities(markdown=False, push=True)

    def __init__(self, limits: Limits, setup: Setup = Setup()) -> None:  # noqa: B008 - a frozen value
        self.settings = checked(SocketIOCredentials, self.name, setup.credentials)
        if self.settings.jwt_key is not None:
            _check_method(self.settings.jwt_method)
        self._limits, self._payloads = limits, setup.payloads
        self._namespace = self.settings.namespace or "/"
        self._gateway: Gateway | None = None
        self._clients: dict[str, Client] = {}
        self._arrived = Arrived()
        self._messages = Throttle(limits.messages_per_second, limits.messages_burst)
        self._sessions = Throttle(limits.messages_per_second, limits.messages_burst)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._draining, self._resumed = False, 0
        self._server = self._serve()

    def _serve(self) -> Server:
        server = Server(
            async_mode="aiohttp",
            async_handlers=False,  # one after another: the order of a user's messages is their order in the log
            namespaces=[self._namespace],
            cors_allowed_origins=[],  # the server checks Origin for every route
            max_http_buffer_size=PAYLOAD_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            logger=_library,
            engineio_logger=_library,
            limits=self._limits,
        )
        handlers = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "session_request": self._session_request,
            self.settings.user_message_evt: self._uttered,
        }
        for event, handler in handlers.items():
            server.on(event, handler, namespace=self._namespace)
        return server

    # The server's side

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages."""
        self._gateway = gateway

    async def drain(self) -> None:
        """Let turns end and their answers arrive, then close every connection; clients come back by themselves."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, self._limits.drain_seconds - 2))
        lines = [one.line for one in self._clients.values() if one.line]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_seconds / 8):
                await asyncio.gather(*(line.quiet() for line in lines))
        await asyncio.gather(*map(self.hang_up, list(self._clients)))

    async def close(self) -> None:
        """Stop taking messages."""
        await asyncio.gather(*(self._leave(sid) for sid in list(self._clients)))
        for task in self._tasks:
            task.cancel()
        await self._server.shutdown()
        self._gateway = None

    def stats(self) -> Mapping[str, float]:
        """Connected clients, and how many sessions were asked for again."""
        return {"socketio_connections": len(self._clients), "socketio_reconnects_total": self._resumed}

    def routes(self) -> Sequence[Route]:
        """Engine.IO's two methods, and Rasa's health address."""
        path = f"/{self.settings.socketio_path.strip('/')}/"
        answers: dict[int, type[BaseModel] | str] = {200: "text/plain", 101: "text/plain"}
        return (
            Route("GET", "/webhooks/socketio/", self._health, "Whether the channel is there", {200: Status}),
            Route("GET", path, self._transport, "Socket.IO: connect, poll or upgrade", answers, errors=(503,)),
            Route("POST", path, self._transport, "Socket.IO: packets of a polling client", {200: "text/plain"}),
        )

    async def _health(self, call: Call[None, None]) -> Answer:
        return Answer(200, Status(status="ok"))

    async def _transport(self, call: Call[None, None]) -> web.StreamResponse:
        connecting = "sid" not in call.request.query
        if connecting and (self._draining or len(self._server.eio.sockets) >= self._limits.sockets):
            raise Overloaded("no more connections just now; try again soon", retry_after=2.0)
        answer: web.StreamResponse = await self._server.eio.answer(call.request)
        return answer

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something beside the events."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def emit(self, sid: str, event: str, data: Any) -> int:
        """Send an event to one client; its number on the wire."""
        return await self._server.tell(sid, self._namespace, event, data)

    async def hang_up(self, sid: str) -> None:
        """Close the transport, not the session: a client that is told "disconnect" would not come back by itself."""
        eio_sid = self._server.manager.eio_sid_from_sid(sid, self._namespace)
        if eio_sid is not None:
            await self._server.eio.hang_up(eio_sid)

    # Events of clients

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        if self.settings.jwt_key is not None:
            self._check_token(auth)
        wire = self._server.wire(sid, self._namespace)
        assert wire is not None
        self._clients[sid] = Client(self, sid, wire)

    def _check_token(self, auth: object) -> None:
        import jwt

        key, given = self.settings.jwt_key, auth.get("token") if isinstance(auth, dict) else None
        assert key is not None
        token = given.removeprefix("Bearer ").strip() if isinstance(given, str) else ""
        try:
            jwt.decode(token, key.get_secret_value(), algorithms=[self.settings.jwt_method])
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Unwelcome("the token is missing, wrong or expired; send it as {token: ...} in auth") from None

    async def _disconnect(self, sid: str, *_: object) -> None:
        await self._leave(sid)
        self._clients.pop(sid, None)

    async def _session_request(self, sid: str, *data: object) -> None:
        try:
            self._sessions.take(sid, "requests for a session")
            await self._begin(sid, data)
        except BotError as error:
            await self._refuse(sid, error)

    async def _begin(self, sid: str, data: Sequence[object]) -> None:
        try:
            asked = read(SessionRequest, data)
        except InputError:
            asked = SessionRequest()
        session = asked.session_id or secrets.token_hex(16)
        if asked.session_id and not await self._may_have(session):
            session = secrets.token_hex(16)
        self._resumed += asked.session_id is not None
        answer: Frame = session if asked.after is None else {"session_id": session}
        await self.emit(sid, "session_confirm", answer)
        await self._join(sid, session if self.settings.session_persistence else sid, asked.after)

    async def _uttered(self, sid: str, *data: object) -> dict[str, JsonValue]:
        """Commit a message; the answer goes to a client that asks for an acknowledgement."""
        try:
            said = read(Uttered, data)
            conversation = await self._conversation(sid, said)
            receipt = await self._submit(conversation, said, self._metadata(data))
        except BotError as error:
            return await self._refuse(sid, error)
        self.spawn(_settled(receipt))
        return {"id": said.message_id, "seq": receipt.seq, "duplicate": receipt.duplicate}

    async def _submit(self, conversation: str, said: Uttered, metadata: dict[str, JsonValue]) -> Receipt:
        assert self._gateway is not None, "the server opens a channel before it serves"
        if self._draining:
            raise Overloaded("the bot is shutting down; send again in a moment", retry_after=5.0)
        self._messages.take(conversation, "messages in this conversation")
        inbound = Inbound(
            address=Address(channel=self.name, conversation=conversation, sender=conversation),
            message=Message(id=f"u.{said.message_id}", parts=(Text(text=said.message),)),
            key=said.message_id,
            metadata=metadata,
            payloads=self._payloads,
        )
        return await self._gateway.submit(inbound)

    async def _conversation(self, sid: str, said: Uttered) -> str:
        """The conversation that a message belongs to; whoever speaks in it listens to it too.

        Raises:
            InputError: there is none.
        """
        client = self._clients[sid]
        line = client.line.who.conversation if client.line else None
        wanted = (said.session_id or line) if self.settings.session_persistence else sid
        if wanted is None:
            raise InputError("this message names no session; send session_request first, or a session_id")
        if wanted != line:
            if not await self._may_have(wanted):
                raise InputError("this session id is taken; send session_request to get one")
            await self._join(sid, wanted, None)
        return wanted

    def _metadata(self, data: Sequence[object]) -> dict[str, JsonValue]:
        first = data[0] if data else None
        found = first.get(self.settings.metadata_key) if isinstance(first, dict) else None
        if not isinstance(found, dict):
            return {}
        if len(written := json.dumps(found)) > METADATA_CHARACTERS:
            raise InputError(f"the metadata may have {METADATA_CHARACTERS} characters as JSON, not {len(written)}")
        return found

    async def _refuse(self, sid: str, error: BotError) -> dict[str, JsonValue]:
        """Nothing was taken: say so where the user sees it, and to the client in a form for machines."""
        problem: dict[str, JsonValue] = {"code": error.code, "message": str(error)}
        if isinstance(error, Refused):
            problem["retry_after"] = error.retry_after
        words = "Sorry, that message could not be taken. Please try again in a moment."
        await self.emit(sid, self.settings.bot_message_evt, {"text": words, "error": problem})
        return {"error": problem}

    # Lines

    async def _may_have(self, session: str) -> bool:
        """Whether a session id may be used here: another channel's conversations are not for the public of this one."""
        assert self._gateway is not None
        first = await self._gateway.read(session, 0, 1)
        event = first[0].event if first else None
        return not (isinstance(event, Started) and event.channel in _OTHERS)

    async def _join(self, sid: str, conversation: str, after: Place | None) -> None:
        """Let a client listen.

        Raises:
            Overloaded: too many do.
        """
        client = self._clients.get(sid)
        if client is None or self._gateway is None:
            return
        others = [one.line for one in self._clients.values() if one.line and one is not client]
        held = sum(line.who.conversation == conversation for line in others)
        if held >= self._limits.sockets_per_conversation:
            raise Overloaded("too many connections of this session; close one")
        await self._leave(sid)
        who = Listener(conversation, sid, after, self.settings.session_persistence)
        client.line = Line(who, self._gateway, self._limits, self._arrived, client)

    async def _leave(self, sid: str) -> None:
        client = self._clients.get(sid)
        if client is not None and client.line is not None:
            line, client.line = client.line, None
            await line.close()


def _check_method(name: str) -> None:
    """Raises: SettingsError: tokens signed so cannot be checked here."""
    import jwt

    try:
        jwt.get_algorithm_by_name(name)
    except NotImplementedError:
        why = f"credentials.yml, channel 'socketio': jwt_method {name} needs the package cryptography; install it"
        raise SettingsError(f"{why}, or use HS256") from None


async def _settled(receipt: Receipt) -> None:
    """Wait for the turn, so that a server that stops lets it end."""
    with contextlib.suppress(BotError):
        await receipt.settled()
