"""Responses worded by another server (`nlg` in endpoints.yml), by Rasa's protocol.

A failure here is never the end of a turn by itself: the domain's own wording is said instead, as long as there is one.
"""

from __future__ import annotations

import json

from bot.core.messages import Part
from bot.core.program import Program
from bot.core.protocols import Wording
from bot.core.rasa.facts import read_parts
from bot.project.endpoints import Endpoint
from bot.sdk.link import Link
from bot.sdk.telling import Teller, as_json

SKILL = "nlg"


class NlgServer:
    """Asks a server for the words of responses."""

    def __init__(self, endpoint: Endpoint, program: Program) -> None:
        self._link, self._teller = Link(endpoint, "the NLG server"), Teller(program)

    async def word(self, asked: Wording) -> tuple[Part, ...] | None:
        """What to say; None when the server has no words for it.

        Raises:
            SkillError: there was no answer; says why.
        """
        reply = await self._link.post(await self._request(asked), {}, SKILL)
        if reply.status != 200:
            raise self._link.fault(SKILL, f"answered with status {reply.status}")
        try:
            answer = json.loads(reply.body) if reply.body.strip() else None
        except ValueError:
            raise self._link.fault(SKILL, "answered with something that is not JSON; check its address") from None
        if answer is None:
            return None
        if not isinstance(answer, dict):
            raise self._link.fault(SKILL, f"must answer with an object, found {type(answer).__name__}")
        return read_parts(answer.get("text"), answer) or None

    async def close(self) -> None:
        """End the connections."""
        await self._link.close()

    async def _request(self, asked: Wording) -> bytes:
        head = as_json({"response": asked.name, "id": None, "arguments": dict(asked.values)})
        tracker = await self._teller.tracker(asked.conversation, asked.history, asked.memo)
        tail = as_json({"channel": {"name": asked.channel}})
        return head[:-1] + b',"tracker":' + tracker.json() + b"," + tail[1:]
