"""python-socketio on our routes, with two things added: bodies are read within limits, and we know what has arrived.

Socket.IO tells a server nothing about what a client has received. Its transports do: a WebSocket answers a ping only
after the frames before it, and a polling client asks again only after it has the last answer. `Wire.certain` counts the
events that have so arrived for sure. Rasa's clients need no change for that.

Engine.IO's own driver for aiohttp is replaced by `_Socket`, which sees the pongs; the rest is the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import engineio
import socketio
from aiohttp import WSMsgType, web
from engineio.async_drivers.aiohttp import translate_request

from connectors.limits import Limits

_EVENT = "42"
"""How an encoded Socket.IO event begins: Engine.IO's "message", Socket.IO's "event"."""
_UPGRADED = "5"


class Wire:
    """The events of one connection: put in its queue, handed to its transport, and certain to have arrived."""

    def __init__(self) -> None:
        self.emitted = self.handed = self.certain = 0
        self.lock = asyncio.Lock()
        self.on_certain: Callable[[int], None] = lambda _: None

    def arrived(self, number: int) -> None:
        """The first `number` events have arrived."""
        if number > self.certain:
            self.certain = number
            self.on_certain(number)


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """An Engine.IO server whose connections have a `Wire`."""

    def __init__(self, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.limits = limits
        driver: dict[str, Any] = vars(self)["_async"]
        self._async = {**driver, "websocket": _Socket, "translate_request": self._translate}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a request of a client."""
        sid = request.query.get("sid", "")
        polls = request.method == "GET" and "Upgrade" not in request.headers
        socket, wire = self.sockets.get(sid), self.wire(sid)
        if polls:
            wire.arrived(wire.handed)
        response: web.StreamResponse = await self.handle_request(request)
        if socket is not None and polls and socket.queue.empty():
            wire.handed = wire.emitted
        if socket is not None and socket.closed:
            socket.queue.put_nowait(None)  # else a poll that waits would wait on
        return response

    async def hang_up(self, sid: str) -> None:
        """Close a connection after what is queued for it."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False)
            socket.queue.put_nowait(None)

    def wire(self, sid: str) -> Wire:
        """The wire of a connection; it goes with it."""
        socket = self.sockets.get(sid)
        return Wire() if socket is None else _wire(socket)

    async def _translate(self, request: web.Request) -> dict[str, Any]:
        environ: dict[str, Any] = translate_request(request)
        if request.method == "POST":
            body = await self._whole(request)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = _Body(body), str(len(body))
        return environ

    async def _whole(self, request: web.Request) -> bytes:
        most, body = self.max_http_buffer_size, bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > most:
                        raise web.HTTPRequestEntityTooLarge(most, len(body))
        except TimeoutError:
            raise web.HTTPRequestTimeout() from None
        return bytes(body)


class Server(socketio.AsyncServer):  # type: ignore[misc]
    """A Socket.IO server on such an engine."""

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    async def tell(self, sid: str, namespace: str, event: str, data: Any) -> int:
        """Emit an event to one client; its number on the client's wire, 0 when the client is gone."""
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace)
        if eio_sid is None:
            return 0
        wire = self.eio.wire(eio_sid)
        async with wire.lock:
            wire.emitted += 1
            number: int = wire.emitted
            await self.emit(event, data, to=sid, namespace=namespace)
        return number

    def wire(self, sid: str, namespace: str) -> Wire | None:
        """The wire of a client; None when it is gone."""
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace)
        return None if eio_sid is None else self.eio.wire(eio_sid)


def _wire(connection: Any) -> Wire:
    wire: Wire = connection.session.setdefault("wire", Wire())
    return wire


class _Body:
    """A body that was read already, as the library wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, length: int) -> bytes:
        """The first `length` bytes."""
        return self._body[:length]


class _Socket:
    """One WebSocket, in the form that Engine.IO's drivers have."""

    def __init__(self, handler: Any, server: Engine) -> None:
        self._handler, self._server = handler, server
        self._wire = _wire(handler.__self__)
        self._socket = web.WebSocketResponse(
            max_msg_size=server.max_http_buffer_size, autoping=False, compress=False, timeout=1.0
        )

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Serve the socket until it is closed."""
        await self._socket.prepare(environ["aiohttp.request"])
        await self._handler(self)
        return self._socket

    async def close(self) -> None:
        """Close it."""
        await self._socket.close()

    async def send(self, message: str | bytes) -> None:
        """Send a packet; after an event ask for a pong, which tells that it has arrived."""
        if isinstance(message, bytes):
            await self._socket.send_bytes(message)
            return
        await self._socket.send_str(message)
        if message.startswith(_EVENT):
            self._wire.handed += 1
            await self._socket.ping(str(self._wire.handed).encode())

    async def wait(self) -> str | bytes:
        """The next packet.

        Raises:
            OSError: there will be none.
        """
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pong(bytes(message.data))
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data: str | bytes = message.data
                if data == _UPGRADED:  # the client has finished polling before it says so
                    self._wire.arrived(self._wire.handed)
                return data
            else:
                raise OSError("the WebSocket is closed")

    def _pong(self, number: bytes) -> None:
        if number.isdigit() and len(number) < 16:
            self._wire.arrived(min(int(number), self._wire.handed))
