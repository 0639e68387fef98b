"""What credentials.yml says about Rasa's channels, checked. Keys that we do not know are ignored, as Rasa does."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, JsonValue, SecretStr, StringConstraints, ValidationError

from bot.core.errors import SettingsError
from connectors.http import explain

Section = TypeVar("Section", bound=BaseModel)
EventName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class BasicAuth(BaseModel):
    """Name and password."""

    username: str
    password: SecretStr = SecretStr("")


class CallbackCredentials(BaseModel):
    """`callback:`. `url` is called by us, so it must come from the operator's file and nowhere else."""

    model_config = ConfigDict(frozen=True)

    url: HttpUrl
    headers: dict[str, str] = {}
    params: dict[str, str] = {}
    token: SecretStr | None = None
    token_name: str = "token"  # noqa: S105 - the name of a parameter
    basic_auth: BasicAuth | None = None

    @property
    def authorization(self) -> dict[str, str]:
        """The header that `basic_auth` stands for."""
        auth = self.basic_auth
        if auth is None:
            return {}
        given = f"{auth.username}:{auth.password.get_secret_value()}".encode()
        return {"Authorization": f"Basic {b64encode(given).decode()}"}


class SocketIOCredentials(BaseModel):
    """`socketio:`, with Rasa's defaults."""

    model_config = ConfigDict(frozen=True)

    user_message_evt: EventName = "user_uttered"
    bot_message_evt: EventName = "bot_uttered"
    namespace: Annotated[str, StringConstraints(pattern=r"^/")] | None = None
    session_persistence: bool = False
    socketio_path: Annotated[str, StringConstraints(pattern=r"^/?[A-Za-z0-9._~/-]+$")] = "/socket.io"
    jwt_key: SecretStr | None = Field(default=None, min_length=1)
    jwt_method: Annotated[str, StringConstraints(pattern=r"^(HS|RS|ES|PS)(256|384|512)$")] = "HS256"
    metadata_key: EventName = "metadata"


def checked(kind: type[Section], channel: str, credentials: Mapping[str, JsonValue]) -> Section:
    """The channel's section.

    Raises:
        SettingsError: it is incomplete or wrong; says where.
    """
    given = {key: value for key, value in credentials.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"credentials.yml, channel {channel!r}: {explain(error)}") from None
