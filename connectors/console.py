"""The terminal channel: one conversation, typed.

Buttons are numbered; typing a number presses that button. Whoever sits at the terminal is trusted: a typed
`/intent{...}` is obeyed. Sources are shown under the answer they belong to.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.core.messages import Address, Audio, Card, Choice, Custom, File, Image, Inbound, Message, Text
from bot.core.protocols import Capabilities, Gateway, Outcome


def as_text(message: Message) -> str:
    """A message as lines of text; buttons are left to the caller, who numbers them."""
    lines: list[str] = []
    for part in message.parts:
        match part:
            case Text(text=text):
                lines.append(text)
            case Image(url=url, alt=alt):
                lines.append(f"[picture: {alt or url}] {url}".strip())
            case File(name=name, url=url):
                lines.append(f"[file: {name}] {url or ''}".strip())
            case Card(title=title, subtitle=subtitle, url=url):
                lines.append(" - ".join(bit for bit in (title, subtitle, url) if bit))
            case Audio(seconds=seconds):
                lines.append(f"[sound: {seconds:.0f} s]")
            case Custom():
                lines.append("[content that a terminal cannot show]")
            case _:
                pass
    return "\n".join(lines)


@dataclass
class Console:
    """One conversation in a terminal."""

    gateway: Gateway
    conversation: str = field(default_factory=lambda: f"console-{uuid.uuid4().hex}")
    name: str = "console"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(images=False, cards=False))
    offered: tuple[Choice, ...] = ()

    async def say(self, text: str) -> Outcome:
        """Send what was typed; the outcome of its turn."""
        words = self._pressed(text)
        key = uuid.uuid4().hex
        address = Address(channel=self.name, conversation=self.conversation, sender="console")
        message = Message(id=key, parts=(Text(text=words),))
        receipt = await self.gateway.submit(Inbound(address=address, message=message, key=key, payloads=True))
        outcome = await receipt.settled()
        self.offered = _last_choices(outcome.messages)
        return outcome

    def _pressed(self, text: str) -> str:
        typed = text.strip()
        if typed.isdecimal() and len(typed) < 3 and 0 < int(typed) <= len(self.offered):
            return self.offered[int(typed) - 1].payload
        return text


def _last_choices(messages: Sequence[Message]) -> tuple[Choice, ...]:
    return next((message.choices for message in reversed(messages) if message.choices), ())
