"""Which conversation a request goes on with.

A client of this protocol sends the whole talk with every request and keeps no id. So the list of messages is the id:
a request goes on with the conversation whose turns are the ones that it lists, in the words of its own key and user.

    the list is new                       a conversation begins
    its turns are those of a conversation its last message is that one's next turn
    it was sent before                    a resend: the turn there is, no other
    its turns went on differently before  a branch: another conversation, which begins as a copy of the common past

So nothing is done twice, no two people who began alike are mixed up, and a message that was edited in a front end does
not follow what it replaced. What the client says that the bot has said is compared, never believed.

A client that names its conversation (`X-Conversation-Id`, or `conversation_id` in metadata) needs none of this.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate

from bot.core.errors import Busy
from bot.core.events import Erased, Received, Recorded, Replied, Settled
from bot.core.messages import Message
from bot.core.protocols import Gateway
from connectors.openai_api_errors import TooLong, Unsupported
from connectors.openai_api_models import ChatHeaders, ChatRequest, RequestMessage
from connectors.openai_api_text import content_of
from connectors.texts import MESSAGE_CHARACTERS, visible

RESENT_WITHIN = 900.0
"""Seconds within which the same first message is taken for a resend; later it begins another conversation."""
_LOOK_BACK = 16
"""How many conversations that began with the same words are looked at, the latest first."""
Branch = Callable[[str, int, str], Awaitable[None]]
"""Begins a conversation (third) as a copy of another one (first) up to the end of one of its turns (second)."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What a request says: the turns before, each with the user's words and the bot's, and the user's words now.

    `name` and `message` are the conversation's and the message's ids, if the client names them.
    """

    turns: tuple[tuple[str, str], ...]
    words: str
    person: str
    name: str = ""
    message: str = ""

    @property
    def marks(self) -> list[str]:
        """For each user message the digest of the list up to it; the last is that of the whole list."""
        said = [words for words, _ in self.turns] + [self.words]
        before = ["", *(reply for _, reply in self.turns)]
        steps = (f"{_plain(reply)}\0{_plain(words)}" for reply, words in zip(before, said, strict=True))
        return list(accumulate(steps, _digest, initial=self.person))[1:]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes: the conversation, and the message's key in it."""

    conversation: str
    key: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn of the log; `settled`: it is over."""

    number: int
    key: str
    words: str
    reply: str
    at: float
    settled: bool


def read_talk(body: ChatRequest, headers: ChatHeaders) -> Talk:
    """What a request says.

    Raises:
        Unsupported, TooLong: the bot cannot meet it; says what to change.
    """
    _refuse_what_we_cannot(body)
    *before, last = body.messages
    if last.role != "user":
        raise Unsupported(f"the last message must be the user's; it has the role {last.role!r}")
    named = body.metadata or {}
    turns: list[tuple[str, str]] = []
    for message in before:
        text = _text(message)
        if message.role == "user":
            turns.append((text, ""))
        elif message.role == "assistant" and turns:
            words, reply = turns[-1]
            turns[-1] = (words, f"{reply}\n\n{text}" if reply else text)
    person = body.safety_identifier or body.user or ""
    name = headers.conversation or named.get("conversation_id", "")
    return Talk(tuple(turns), _words(last, len(before)), person, name, headers.message or named.get("message_id", ""))


def _refuse_what_we_cannot(body: ChatRequest) -> None:
    if (body.n or 1) != 1:
        raise Unsupported("a bot gives one answer; leave `n` out", "n")
    if body.logprobs:
        raise Unsupported("a bot gives no log probabilities; leave `logprobs` out", "logprobs")
    if body.response_format is not None and body.response_format.type != "text":
        raise Unsupported("a bot answers in text; leave `response_format` out", "response_format")
    if body.tool_choice not in (None, "none", "auto"):
        raise Unsupported("a bot calls no tools of its clients; leave `tool_choice` out", "tool_choice")
    if any(kind != "text" for kind in body.modalities or ()):
        raise Unsupported("a bot answers in text; leave `modalities` out", "modalities")
    for name in ("conversation_id", "message_id"):
        if not _is_id((body.metadata or {}).get(name, "x")):
            raise Unsupported(f"{name}: expected up to 100 visible ASCII characters", f"metadata.{name}")


def _is_id(text: str) -> bool:
    return 0 < len(text) <= 100 and all("!" <= character <= "~" for character in text)


def _text(message: RequestMessage) -> str:
    if isinstance(message.content, list):
        return "\n".join(part.text or "" for part in message.content if part.type == "text")
    return message.content or ""


def _words(message: RequestMessage, place: int) -> str:
    """The user's words, which the bot is to read.

    Raises:
        Unsupported, TooLong: it cannot.
    """
    where = f"messages[{place}].content"
    for number, part in enumerate(message.content if isinstance(message.content, list) else ()):
        if part.type != "text":
            kind = part.type[:40]
            raise Unsupported(f"this bot reads text only, not {kind!r}; describe it in words", f"{where}[{number}]")
    text = _text(message)
    if len(text) > MESSAGE_CHARACTERS:
        raise TooLong(f"the message has {len(text)} characters; this bot reads {MESSAGE_CHARACTERS} at most", where)
    if not visible(text):
        raise Unsupported("the message must hold at least one visible character and no U+0000", where)
    return text


class Places:
    """Finds the places of talks. `branch` copies; requests that may begin the same conversation must not overlap."""

    def __init__(self, gateway: Gateway, branch: Branch, resent_within: float = RESENT_WITHIN) -> None:
        self._gateway, self._branch, self._resent_within = gateway, branch, resent_within

    async def find(self, talk: Talk, prefix: str) -> Place:
        """Where the message goes; `prefix` begins the ids of all conversations of one key.

        Raises:
            Unsupported: the conversation is named, and the message cannot be told from others in it.
            Busy: what the message follows is not over.
        """
        mark = talk.marks[-1]
        key = f"i.{talk.message}" if talk.message and talk.name else f"h.{mark}"
        if talk.name:
            return await self._named(talk, f"{prefix}-n-{talk.name}", key)
        ids = [f"{prefix}-h-{mark[:32]}" for mark in talk.marks]
        conversation = await (self._begun(ids[0]) if len(ids) == 1 else self._gone_on(talk, ids, key))
        return Place(conversation, key)

    async def _named(self, talk: Talk, conversation: str, key: str) -> Place:
        """A message without an id and without the talk before it is known only as the first of its conversation."""
        if not talk.message and not any(reply for _, reply in talk.turns):
            first = next(iter(await self._turns(conversation)), None)
            if first is not None and first.key != key:
                raise Unsupported(
                    "in a conversation that you name, give each message an id (`Idempotency-Key`, or `message_id` in "
                    "metadata), or send the whole talk with it; otherwise a resend cannot be told from a new message"
                )
        return Place(conversation, key)

    async def _begun(self, root: str) -> str:
        """The conversation that a first message begins, or has just begun."""
        latest = await self._latest(root)
        turns = await self._turns(_generation(root, latest)) if latest >= 0 else []
        if turns and time.time() - turns[0].at < self._resent_within:
            return _generation(root, latest)
        return _generation(root, latest + 1)

    async def _gone_on(self, talk: Talk, ids: Sequence[str], key: str) -> str:
        """The conversation that has the turns of the list and no others, or this very message as the next one."""
        last = ids[-1]
        if await self._gateway.read(last, 0, 1):
            return last
        latest = await self._latest(ids[0])
        roots = [_generation(ids[0], number) for number in range(latest, max(-1, latest - _LOOK_BACK), -1)]
        parted: tuple[str, _Turn] | None = None
        for place, conversation in [*((0, root) for root in roots), *reversed(list(enumerate(ids[1:-1], start=1)))]:
            turns = await self._turns(conversation)
            for skipped in {0, place}:
                count = len(talk.turns) - skipped
                if turns and _same(turns[:count], talk.turns[skipped:]):
                    if len(turns) == count or turns[count].key == key:
                        return conversation
                    parted = parted or (conversation, turns[count - 1])
        if parted is not None:
            await self._part(*parted, last)
        return last

    async def _part(self, conversation: str, turn: _Turn, other: str) -> None:
        if not turn.settled:
            raise Busy("the message before this one is still being answered; send this one again in a moment")
        await self._branch(conversation, turn.number, other)

    async def _latest(self, root: str) -> int:
        """The number of the latest conversation that began with these words; -1 if there is none."""
        high = 0
        while await self._gateway.read(_generation(root, high), 0, 1):
            high = 2 * high + 1
        low = (high - 1) // 2
        while high - low > 1:
            middle = (low + high) // 2
            exists = await self._gateway.read(_generation(root, middle), 0, 1)
            low, high = (middle, high) if exists else (low, middle)
        return low

    async def _turns(self, conversation: str) -> list[_Turn]:
        return list(_turns(await self._gateway.read(conversation)))


def _generation(root: str, number: int) -> str:
    return f"{root}.{number}" if number else root


def _turns(events: Sequence[Recorded]) -> Iterator[_Turn]:
    """The turns that a client has seen: those with words of the user."""
    erased = max((index for index, one in enumerate(events) if isinstance(one.event, Erased)), default=-1)
    events = events[erased + 1 :]
    replies: dict[int, list[Message]] = {}
    settled: set[int] = set()
    for recorded in events:
        if isinstance(recorded.event, Replied):
            replies.setdefault(recorded.turn, []).append(recorded.event.message)
        if isinstance(recorded.event, Settled):
            settled.add(recorded.turn)
    for recorded in events:
        event, turn = recorded.event, recorded.turn
        if isinstance(event, Received) and event.message.parts:
            reply = content_of(replies.get(turn, ()))
            yield _Turn(turn, event.key, event.message.text, reply, recorded.at, turn in settled)


def _same(turns: Sequence[_Turn], listed: Sequence[tuple[str, str]]) -> bool:
    """Whether the log's turns are the listed ones. A reply is the same if it was cut off or follows a draft."""
    pairs = zip(turns, listed, strict=False)
    return len(turns) == len(listed) and all(
        _plain(turn.words) == _plain(words) and _agrees(turn, reply) for turn, (words, reply) in pairs
    )


def _agrees(turn: _Turn, listed: str) -> bool:
    ours, theirs = _plain(turn.reply), _plain(listed)
    return not turn.settled or ours.startswith(theirs) or theirs.endswith(ours)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _digest(before: str, step: str) -> str:
    return sha256(f"{before}\0{step}".encode("utf-8", "surrogatepass")).hexdigest()
