"""Calls the ticket service. Its address comes from TICKET_SERVICE_URL."""

from __future__ import annotations

import os
from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=2)


class Away(Exception):
    """The service cannot be reached or does not work."""


def address() -> str:
    """Where the service is."""
    return os.environ.get("TICKET_SERVICE_URL", "http://127.0.0.1:8090")


async def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """What the service answers; None when it knows no such thing."""
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.request(method, address() + path, json=body) as answer,
        ):
            if answer.status == 404:
                return None
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Away from error
