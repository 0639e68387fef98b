"""The web channel: a WebSocket that resumes, the same over plain HTTP, and a built-in page to talk to the bot."""

from connectors.web.channel import WebChannel

__all__ = ["WebChannel"]
