"""Custom actions of an action server over HTTP, as rasa-sdk and its relatives speak it.

An action is run at least once: a request that breaks off, or a turn that a crash cut short, is sent again with the same
`Idempotency-Key`. Every answer that is no result ends in a `Rejected` or a `SkillError`, and the body of an error is
never shown or logged, for servers put the whole conversation into it.
"""

from __future__ import annotations

import json
import logging
import zlib

from bot.core.errors import Rejected, SkillError
from bot.core.program import Program
from bot.core.protocols import ActionCall, ActionResult
from bot.project.endpoints import Endpoint
from bot.sdk.answers import Reader
from bot.sdk.calls import Calls, sent_key, validates
from bot.sdk.link import Link, Reply

_log = logging.getLogger(__name__)
UNKNOWN_DOMAIN = 449
HINT = "; start it (for actions of this project: bot actions), or set `action_endpoint` in endpoints.yml"


class HttpActions:
    """An `ActionServer` behind a URL. It is taken to know every action of the domain."""

    def __init__(self, endpoint: Endpoint, program: Program, compress: bool = False) -> None:
        """`compress`: send requests deflated, for servers that understand it, as rasa-sdk does."""
        self._link = Link(endpoint, "the action server", HINT)
        self._calls, self._program = Calls(program), program
        self._selective, self._compress = endpoint.selective_domain, compress

    @property
    def names(self) -> tuple[str, ...]:
        """See `ActionServer.names`."""
        return self._program.actions

    async def run(self, call: ActionCall) -> ActionResult:
        """Run one action.

        Raises:
            Rejected: the action refused.
            SkillError: there was no result; says why.
        """
        try:
            return self._read(await self._ask(call), call)
        except SkillError as error:
            _log.error("%s", error)
            raise

    async def close(self) -> None:
        """End the connections."""
        await self._link.close()

    async def _ask(self, call: ActionCall) -> Reply:
        """Send the whole domain, or, where the author chose so, its name first and it itself only when asked."""
        if not self._selective or validates(call.name):
            return await self._post(await self._calls.body(call), call)
        digest = self._program.id
        reply = await self._post(await self._calls.body(call, digest, domain=False), call)
        if reply.status == UNKNOWN_DOMAIN:
            reply = await self._post(await self._calls.body(call, digest), call)
        return reply

    async def _post(self, body: bytes, call: ActionCall) -> Reply:
        key = sent_key(call)
        headers = {"Idempotency-Key": key, "X-Request-Id": key}
        if self._compress:
            body, headers["Content-Encoding"] = zlib.compress(body), "deflate"
        return await self._link.post(body, headers, call.name)

    def _read(self, reply: Reply, call: ActionCall) -> ActionResult:
        if reply.status == 200:
            return Reader(call.name, self._program).result(self._json(reply, call))
        if reply.status == 400 and _names_action(reply):
            raise Rejected(call.name)
        raise self._link.fault(call.name, _COMPLAINTS.get(reply.status, f"answered with status {reply.status}"))

    def _json(self, reply: Reply, call: ActionCall) -> object:
        try:
            return json.loads(reply.body) if reply.body.strip() else None
        except ValueError:
            raise self._link.fault(call.name, "answered with something that is not JSON; check its address") from None


_COMPLAINTS = {
    400: "did not understand the request (status 400)",
    401: "refused our credentials (status 401); check `token`, `basic_auth` or `headers` in endpoints.yml",
    403: "refused our credentials (status 403); check `token`, `basic_auth` or `headers` in endpoints.yml",
    404: "does not know this action (status 404); register it there, or check the path, which is /webhook for rasa-sdk",
    405: "takes no such requests (status 405); check the path, which is /webhook for rasa-sdk",
    UNKNOWN_DOMAIN: "still wants the domain after it was sent (status 449)",
    500: "failed in this action (status 500); its own log says why",
}


def _names_action(reply: Reply) -> bool:
    """Whether a refusal comes from an action; one from the server itself names none."""
    try:
        body = json.loads(reply.body)
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("action_name"), str)
