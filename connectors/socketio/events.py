"""What clients send, checked by the rules that hold for JSON from anywhere."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.core.errors import InputError
from connectors.http import explain
from connectors.socketio.line import Place
from connectors.texts import Key, MessageText, Name

Event = TypeVar("Event", bound=BaseModel)


class SessionRequest(BaseModel):
    """The client asks for a session. `last_id`: the id of the last frame it has, 0 before the first."""

    model_config = ConfigDict(extra="ignore")

    session_id: Name | None = None
    last_id: (
        Annotated[str, StringConstraints(pattern=r"^\d{1,15}(\.\d{1,6})?$")] | Annotated[int, Field(ge=0)] | None
    ) = None

    @property
    def after(self) -> Place | None:
        """The last frame that the client has; None if it does not count."""
        if self.last_id is None:
            return None
        seq, _, part = str(self.last_id).partition(".")
        return Place(int(seq), int(part) if part else 1_000_000)


class Uttered(BaseModel):
    """What a user says. `message_id` makes a resend safe."""

    model_config = ConfigDict(extra="ignore")

    message: MessageText
    session_id: Name | None = None
    message_id: Key = Field(default_factory=lambda: secrets.token_hex(16))


def read(kind: type[Event], data: Sequence[object]) -> Event:
    """The first argument of an event, by the rules that hold for JSON from anywhere.

    Raises:
        InputError: it is not what is expected; says how.
    """
    given = data[0] if data else {}
    try:
        return kind.model_validate_json(json.dumps({} if given is None else given, allow_nan=False))
    except ValidationError as error:
        raise InputError(explain(error)) from None
    except (ValueError, TypeError, RecursionError):
        raise InputError("expected an object of JSON") from None
