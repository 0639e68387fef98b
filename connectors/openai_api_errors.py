"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, with the codes that its clients know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from bot.core.errors import InputError, NotFound, UserError
from connectors.http import RateLimited


class WrongKey(UserError):
    """No key, or one that we do not know."""

    code = "invalid_api_key"


class SwitchedOff(NotFound):
    """There is no key yet, so this part of the server is off."""

    code = "api_off"


class UnknownModel(NotFound):
    """Another model was asked for."""

    code = "model_not_found"
    param = "model"


class Unsupported(InputError):
    """A request that a bot cannot meet. `param` names what to change."""

    code = "unsupported_value"

    def __init__(self, message: str, param: str = "messages") -> None:
        super().__init__(message)
        self.param = param


class TooLong(Unsupported):
    """More text than we read."""

    code = "context_length_exceeded"


class OverQuota(RateLimited):
    """A key has used up what it may ask for. `kind` tells of what; `headers` say when there will be more."""

    code = "rate_limit_exceeded"

    def __init__(
        self, message: str, retry_after: float, kind: Literal["requests", "tokens"], headers: Mapping[str, str]
    ) -> None:
        super().__init__(message, retry_after)
        self.kind, self.headers = kind, headers


class ApiErrorBody(BaseModel):
    """What went wrong. `code` is for machines; `message` says what to do; `param` names the field."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ApiProblem(BaseModel):
    """The body of every answer that is not a success."""

    error: ApiErrorBody


def api_problem(status: int, code: str, message: str, error: Exception | None = None) -> ApiProblem:
    """An error as OpenAI's server words it."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind, param = getattr(error, "kind", usual), getattr(error, "param", None)
    return ApiProblem(error=ApiErrorBody(message=message, type=kind, param=param, code=code))
