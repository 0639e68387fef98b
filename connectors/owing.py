"""Which messages a channel still owes a conversation, read from the log: a promise that survives a restart.

A channel that pushes notes a `Delivered` fact once a message has arrived. Messages of its own turns without that fact
are owed, in order. A turn belongs to the channel that its user message came by; turns of an imported history, which
this bot never took itself, are nobody's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bot.core.events import Delivered, Erased, Received, Recorded, Replied, Settled
from bot.core.protocols import Gateway

_PAGE = 500


class Ledger:
    """Reads the facts of one conversation in order. `seq` is the last one read, `open` the turns not settled yet.

    Without `heed` every message counts as owed, delivered or not.
    """

    def __init__(self, channel: str, heed: bool = True) -> None:
        self._heed = heed
        self.seq = 0
        self.owed: dict[str, Recorded] = {}
        self.open: dict[int, str] = {}
        self._channel = channel
        self._latest = ""

    def take(self, recorded: Recorded) -> bool:
        """Whether the fact is a message that is owed now."""
        event, turn = recorded.event, recorded.turn
        self.seq = recorded.seq
        match event:
            case Received():
                self._latest = self.open[turn] = event.channel if event.live else ""
            case Replied() if self.open.get(turn, self._latest) == self._channel:
                self.owed[event.message.id] = recorded
                return True
            case Delivered() if self._heed and event.channel == self._channel:
                self.owed.pop(event.message, None)
            case Settled():
                self.open.pop(turn, None)
            case Erased():
                self.owed.clear()
                self.open.clear()
            case _:
                pass
        return False


async def read(gateway: Gateway, conversation: str, ledger: Ledger) -> None:
    """Let the ledger read what the log holds beyond it."""
    while page := await gateway.read(conversation, ledger.seq, _PAGE):
        for recorded in page:
            ledger.take(recorded)


async def owing(gateway: Gateway, conversation: str, ledger: Ledger) -> AsyncGenerator[Recorded, None]:
    """The messages that are owed now, then further ones as they are committed."""
    await read(gateway, conversation, ledger)
    owed = list(ledger.owed.values())
    ledger.owed.clear()
    for recorded in owed:
        yield recorded
    async for recorded in gateway.follow(conversation, ledger.seq):
        if ledger.take(recorded):
            ledger.owed.clear()
            yield recorded
