"""What one client may ask of us: every limit in one value, documented in docs/limits.md.

A limit is refused before anything is acknowledged (413, 429, 503 or a WebSocket close code); nothing is dropped after.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Limits of the HTTP and WebSocket surface. Sizes are bytes unless the name says characters; times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    body_bytes: int = Field(default=131_072, ge=1_024)
    """A request body; above it 413."""
    api_body_bytes: int = Field(default=16_777_216, ge=1_024)
    """A body of training data, tests or events sent to Rasa's HTTP API; above it 413."""
    body_seconds: float = Field(default=10.0, gt=0)
    """Time for a whole request body to arrive; above it 408."""
    frame_bytes: int = Field(default=65_536, ge=1_024)
    """A WebSocket frame; above it close 1009."""
    sockets_per_conversation: int = Field(default=8, ge=1)
    """Open WebSockets of one conversation; above it close 1013."""
    sockets: int = Field(default=10_000, ge=1)
    """Open WebSockets in all; above it 503."""
    messages_burst: int = Field(default=10, ge=1)
    """Messages and ratings that one web conversation may send at once; above it 429."""
    messages_per_second: float = Field(default=5.0, gt=0)
    """The rate at which that allowance refills."""
    new_conversations_per_minute: float = Field(default=60.0, gt=0)
    """New web conversations of one client address; above it 429."""
    hello_seconds: float = Field(default=10.0, gt=0)
    """Time for a WebSocket client to say hello; above it close 1008."""
    send_seconds: float = Field(default=20.0, gt=0)
    """Time for a slow WebSocket reader to take a frame; above it close 1013."""
    heartbeat_seconds: float = Field(default=25.0, gt=0)
    """Interval of WebSocket pings; a peer silent for half of it after a ping is gone."""
    turn_seconds: float = Field(default=60.0, gt=0)
    """How long a request waits for a turn; above it 504, while the turn goes on."""
    drain_seconds: float = Field(default=8.0, gt=0)
    """How long turns in progress may take after SIGTERM."""
    page_events: int = Field(default=200, ge=1, le=1_000)
    """Events in one page of history."""
