"""One HTTP connection pool to a server of `endpoints.yml`, with its credentials.

What goes wrong on the way becomes a `SkillError` that says which server, what happened and what to do; it never holds
what was sent or received. There is no time limit here: whoever calls has a deadline and cancels.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from bot.core.errors import ProjectError, SkillError
from bot.project.endpoints import Endpoint

LARGEST = 8 << 20
"""Bytes of an answer that are read."""
IDLE = 4.0
"""Seconds a connection is kept; less than rasa-sdk's five, so that we do not send into a closing one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes


class Link:
    """Posts JSON to one address. `what` names the server in messages, `hint` says what to do when it is not there."""

    def __init__(self, endpoint: Endpoint, what: str, hint: str = "") -> None:
        self.what, self._hint = what, hint
        self._endpoint = endpoint
        self._tls = trust(endpoint)
        self._session: aiohttp.ClientSession | None = None

    @property
    def place(self) -> str:
        """The server's address without its query and credentials."""
        return str(URL(self._endpoint.url).with_query(None).with_user(None))

    async def post(self, body: bytes, headers: Mapping[str, str], skill: str) -> Reply:
        """Send once; once more when the server closes the connection without an answer.

        Raises:
            SkillError: the server cannot be reached or breaks off; `skill` is named in it.
        """
        try:
            try:
                return await self._post(body, headers)
            except aiohttp.ServerDisconnectedError:
                return await self._post(body, headers)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self.fault(skill, f"cannot be reached ({_reason(error)}){self._hint}") from error

    def fault(self, skill: str, message: str) -> SkillError:
        """An error that names the server."""
        return SkillError(skill, f"{self.what} at {self.place} {message}")

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        session = self._opened()
        params = dict(self._endpoint.params)
        if self._endpoint.token:
            params[self._endpoint.token_name] = self._endpoint.token
        url = URL(self._endpoint.url).update_query(params)
        sent = {"Content-Type": "application/json", **basic(self._endpoint), **self._endpoint.headers, **headers}
        async with session.post(url, data=body, headers=sent, allow_redirects=False) as response:
            content = await response.content.read(LARGEST + 1) if response.content_length else b""
            while len(content) <= LARGEST and (more := await response.content.read(LARGEST)):
                content += more
            if len(content) > LARGEST:
                raise ValueError(f"its answer is longer than {LARGEST >> 20} MiB")
            return Reply(response.status, content)

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made in the running loop when it is first needed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, keepalive_timeout=IDLE, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def basic(endpoint: Endpoint) -> dict[str, str]:
    """The header of `basic_auth`, if there is one."""
    if endpoint.basic_auth is None:
        return {}
    packed = base64.b64encode(":".join(endpoint.basic_auth).encode()).decode()
    return {"Authorization": f"Basic {packed}"}


def trust(endpoint: Endpoint) -> ssl.SSLContext | bool:
    """How the server's certificate is checked: against `cafile`, else against the system's.

    Raises:
        ProjectError: `cafile` cannot be read as certificates.
    """
    if endpoint.cafile is None:
        return True
    try:
        return ssl.create_default_context(cafile=endpoint.cafile)
    except (OSError, ssl.SSLError) as error:
        found = "there is no such file" if not Path(endpoint.cafile).exists() else str(error)
        raise ProjectError(f"`cafile`: expected a file with certificates (PEM), {endpoint.cafile!r}: {found}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted; see `cafile` in endpoints.yml"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return str(error)
    return type(error).__name__
