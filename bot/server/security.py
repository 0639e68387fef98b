"""Who may call: the Host and Origin allow lists, the operators' door, and the headers of every answer.

Host is checked so that a hostile site cannot point its own name at us (DNS rebinding); an IP address is safe there.
Origin is checked so that a page of another site cannot talk to us through a visitor's browser. The operators' door
opens to the configured token, or, when there is none, to callers on this machine that no proxy stands for.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from functools import lru_cache
from typing import Any

from aiohttp import web

from bot.core.errors import UserError
from bot.server.settings import ServerSettings, is_loopback

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""On every answer, unless the route sets its own value."""
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
RASA: web.RequestKey[bool] = web.RequestKey("rasa", bool)
"""Set on requests to Rasa's HTTP API: its errors have Rasa's shape."""
OPENAI: web.RequestKey[bool] = web.RequestKey("openai", bool)
"""Set on requests to the OpenAI-compatible server: its errors have OpenAI's shape."""
CROSS_ORIGIN: web.RequestKey[str] = web.RequestKey("cross_origin", str)
_PROXY_HEADERS = ("Forwarded", "Via", "X-Real-IP")
_ORIGIN = re.compile(r"https?://([^/\s@]+)")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/\s@]+)(?::\d{1,5})?")


class Unauthorized(UserError):
    """The operators' token is missing or wrong."""

    code = "unauthorized"


class Forbidden(UserError):
    """This caller may not do that."""

    code = "forbidden"


class Misdirected(UserError):
    """The Host header names a site that we do not serve."""

    code = "unknown_host"


class Guard:
    """The checks, with their settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value().encode() if settings.token else b""
        self._jwt = settings.jwt_secret.get_secret_value() if settings.jwt_secret else ""
        self._known_host = lru_cache(256)(self._serves)

    def check_host(self, request: web.Request) -> None:
        """Raises: Misdirected."""
        host = request.headers.get("Host", "").lower()
        if not self._known_host(host):
            raise Misdirected(
                f"the host {host[:100]!r} is not served here; if it is yours, add it to 'server: hosts:' in bot.yml"
            )

    def check_origin(self, request: web.Request) -> str | None:
        """The Origin of another site that may call, to be named in the answer; None if it is our own or absent.

        Raises:
            Forbidden: it may not.
        """
        origin = request.headers.get("Origin")
        if origin is None:
            return None
        found = _ORIGIN.fullmatch(origin.lower())
        if found and found[1] == request.headers.get("Host", "").lower():
            return None
        if found and origin.lower() in self._settings.origins:
            return origin
        raise Forbidden(
            f"pages of {origin[:100]!r} may not call this bot; if they should, add that origin to "
            "'server: origins:' in bot.yml"
        )

    def check_operator(self, request: web.Request) -> None:
        """Raises: Unauthorized, Forbidden; both say what to configure or send."""
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Forbidden("operators' addresses cannot be called from pages of another site")
        if self._token:
            self._check_token(request)
        elif not self._is_local(request):
            raise Forbidden(
                "this address is for operators. Set 'server: token:' in bot.yml and send it as 'Authorization: Bearer "
                "TOKEN', or call a bot bound to 127.0.0.1 directly from its own machine"
            )

    def check_rasa(self, request: web.Request, conversation: str | None) -> None:
        """The door of Rasa's HTTP API: the operators' token, or a JWT whose user may do this.

        A JWT holds `{"user": {"username", "role"}}`; an "admin" may do all, a "user" what concerns the conversation
        that has the user's name.

        Raises:
            Unauthorized, Forbidden.
        """
        given = _bearer(request)
        if self._jwt and given.count(".") == 2:
            self._check_user(given, conversation)
        elif self._jwt and not self._token:
            raise Unauthorized("a JSON Web Token is needed; send it as 'Authorization: Bearer TOKEN'")
        else:
            self.check_operator(request)

    def _check_user(self, given: str, conversation: str | None) -> None:
        import jwt

        try:
            unchecked: Any = {"verify_aud": False, "verify_iat": False}  # Rasa looks at neither
            found = jwt.decode(given, self._jwt, algorithms=[self._settings.jwt_method], options=unchecked)
        except jwt.InvalidTokenError as error:
            raise Unauthorized(f"the JSON Web Token is not valid: {error}") from None
        user = found.get("user")
        user = user if isinstance(user, dict) else {}
        own = conversation is not None and user.get("username") == conversation
        if user.get("role") != "admin" and not (user.get("role") == "user" and own):
            raise Forbidden("this user may not do that; a user may see their own conversation, an admin everything")

    def client(self, request: web.Request) -> str:
        """The caller's address; a trusted proxy's word for it is believed."""
        nearest = request.remote or ""
        if not self._settings.trusted_proxies:
            return nearest
        hops = [*request.headers.get("X-Forwarded-For", "").replace(" ", "").split(","), nearest]
        for hop in reversed(hops):
            nearest = hop or nearest
            if not self._is_proxy(hop):
                break
        return nearest

    def _check_token(self, request: web.Request) -> None:
        given = _bearer(request) or request.query.get("token", "")
        if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token):
            raise Unauthorized("the operators' token is missing or wrong; send 'Authorization: Bearer TOKEN'")

    def _is_local(self, request: web.Request) -> bool:
        host = _HOST.fullmatch(request.headers.get("Host", "").lower())
        named = host is not None and is_loopback(host[1])
        return self._settings.on_loopback and named and is_loopback(request.remote or "") and not _forwarded(request)

    def _serves(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]")
        return is_loopback(name) or _is_address(name) or not {name, "*"}.isdisjoint(self._settings.hosts)

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(
            ipaddress.ip_address(address) in network for network in self._settings.trusted_proxies
        )


def _bearer(request: web.Request) -> str:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _forwarded(request: web.Request) -> bool:
    """Whether a proxy stands for somebody else."""
    names = request.headers.keys()
    return any(name in request.headers for name in _PROXY_HEADERS) or any(
        name.lower().startswith("x-forwarded") for name in names
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def preflight() -> web.Response:
    """The answer to a browser that asks whether a page of an allowed origin may call."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
            "Access-Control-Max-Age": "600",
        },
    )


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer whose head is about to be sent."""
    headers = response.headers
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers["Server"] = "understudy"
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    if origin := request.get(CROSS_ORIGIN):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
        headers["Vary"] = "Origin"
