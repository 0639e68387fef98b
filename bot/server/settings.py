"""Settings of the server: the `server:` part of bot.yml. Safe with no configuration at all: loopback only."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, StringConstraints

from connectors.limits import Limits

Origin = Annotated[str, StringConstraints(to_lower=True, pattern=r"^https?://[^/\s]+$")]
HostName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^(\*|[^/:\s]+)$")]
Notice = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class ServerSettings(BaseModel):
    """Where we listen, who may call, and how much."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    port: int = Field(default=5005, ge=0, le=65_535)
    """0 picks a free port."""
    hosts: tuple[HostName, ...] = ()
    """Names in the Host header that are served besides loopback names and IP addresses; "*" is any."""
    origins: tuple[Origin, ...] = ()
    """Sites whose pages may call us, such as "https://shop.example"; our own page always may."""
    token: SecretStr | None = Field(default=None, min_length=16)
    """Opens the operators' door. Without one the door opens only to callers on this machine."""
    enable_api: bool = False
    """Rasa's whole HTTP API behind the operators' door: trackers that can be written, training, loading models. Off:
    only trackers to read and texts to parse."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=1)
    """Secret, or public key, of the JSON Web Tokens that Rasa's HTTP API takes besides the operators' token."""
    jwt_method: str = Field(default="HS256", pattern=r"^(HS|RS|ES|PS)(256|384|512)$")
    """How those tokens are signed."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks whose X-Forwarded-For we believe, for rate limits."""
    name: str = Field(default="Understudy", min_length=1, max_length=80)
    """The bot's name on the built-in page."""
    notice: Notice = "You are talking to an automated assistant."
    """Said before the first message; it cannot be empty."""
    limits: Limits = Limits()

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach us."""
        return is_loopback(self.host)


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine itself."""
    name = name.lower().strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
