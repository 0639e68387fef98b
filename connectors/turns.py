"""How an HTTP request becomes a turn: its idempotency key, and the wait for its outcome."""

from __future__ import annotations

import asyncio
from random import getrandbits

from pydantic import BaseModel, Field

from bot.core.errors import DuplicateMismatch, Refused
from bot.core.protocols import Outcome, Receipt
from connectors.texts import Key


class OutcomePending(Refused):
    """The message is acknowledged, but its turn takes longer than a request may wait."""

    code = "outcome_pending"


class IdempotencyHeaders(BaseModel):
    """Headers that a sending request may carry."""

    key: Key = Field(default_factory=str, alias="Idempotency-Key")


def idempotency_key(in_body: str, headers: IdempotencyHeaders, in_event: str = "") -> str:
    """The client's message id from body or header or the id of an event that it saw, or a fresh one.

    Raises:
        DuplicateMismatch: two are given and differ.
    """
    if in_body and headers.key and in_body != headers.key:
        raise DuplicateMismatch("the message id in the body differs from the Idempotency-Key header; send one of them")
    given = in_body or headers.key
    if given and in_event and given != in_event:
        raise DuplicateMismatch("Last-Event-ID belongs to another message; leave it out for a new one")
    # It has to be new, not secret: asking the system for random bytes gives up the interpreter lock at every request.
    return given or in_event or f"{getrandbits(128):032x}"


async def settled(receipt: Receipt, seconds: float) -> Outcome:
    """How the turn ended.

    Raises:
        OutcomePending: the turn takes longer; it goes on.
    """
    try:
        async with asyncio.timeout(seconds):
            return await receipt.settled()
    except TimeoutError:
        why = "the message is stored and its answer is on the way; send it again with the same id to get the answer"
        raise OutcomePending(why, retry_after=seconds) from None
