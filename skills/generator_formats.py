"""How a prompt becomes tokens, and tokens a text that may be shown: our own format, and chat templates of others.

In both the talk comes first and what belongs to one turn last, so that the next turn begins with the same tokens. Text
of users and of passages cannot spell a token that steers the model. A talk that is too long loses its oldest turns,
several at a time, so that the beginning stays the same for some turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from bot.core.errors import InputError, SkillError
from bot.core.protocols import Prompt
from skills import prompting
from skills.chat_template import ChatTemplate
from skills.constraints import Constraints
from skills.decoder import Choose
from skills.decoder_files import read_json
from skills.prompting import MARKS
from skills.remote_prompt import ABSTAIN, CANARY, messages_talk_first
from skills.remote_text import Held
from skills.values import Values

_DROPPED = 4
"""Turns that a talk loses at a time when it is too long."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt as the engine takes it.

    `ids`: its tokens, the first `stable` of which begin the next turn too; `constrained` forbids what may not be
    written; `shown` puts values into a piece of text; `held` keeps back what may not be shown yet.
    """

    ids: Sequence[int]
    stable: int
    constrained: Callable[[Choose], Choose]
    shown: Callable[[str], str]
    held: Held


class Format(Protocol):
    """What differs between kinds of models. `ends`: tokens that end a text; `special`: whether a token that is no text
    is written out."""

    ends: frozenset[int]
    special: bool

    def text(self, prompt: Prompt) -> str:
        """What the model goes on from; a training sample of it ends with the reply and `end`."""
        ...

    @property
    def end(self) -> str:
        """What stands after a reply."""
        ...

    def reading(self, prompt: Prompt, room: int) -> Reading:
        """The prompt, with room for its answer.

        Raises:
            SkillError: it does not fit, even with the last turn alone.
        """
        ...


def find_format(folder: Path, tokenizer: Any) -> Format:
    """Ours, if the tokenizer has our marks, else that of its chat template.

    Raises:
        InputError: it has neither.
    """
    if all(tokenizer.token_to_id(mark) is not None for mark in MARKS):
        return OwnFormat(tokenizer)
    template = ChatTemplate.read(folder)
    if template is None:
        raise InputError(
            f"{folder}: the tokenizer has no chat template; take the model's instruct or chat version, or put its "
            "template into chat_template.jinja"
        )
    return ChatFormat(tokenizer, template, end_tokens(folder, tokenizer))


class OwnFormat:
    """`skills.prompting`, with values behind placeholders and constraints on what is written."""

    special = True
    end = prompting.END

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        size = tokenizer.get_vocab_size()
        self._constraints = Constraints([tokenizer.decode([n], skip_special_tokens=False) for n in range(size)])
        self.ends = frozenset([tokenizer.token_to_id(prompting.END)])
        self._turn = {tokenizer.token_to_id(mark) for mark in prompting.OF_A_TURN}

    def text(self, prompt: Prompt) -> str:
        return self._text(prompt, Values())

    def reading(self, prompt: Prompt, room: int) -> Reading:
        for shorter in _shortened(prompt):
            values = Values()
            ids = self._tokenizer.encode(text := self._text(shorter, values), add_special_tokens=False).ids
            if len(ids) + prompt.max_tokens <= room:
                break
        else:
            raise _too_long(len(ids), room, prompt)
        stable = next(place for place, token in enumerate(ids) if token in self._turn)
        known = text[min(place for mark in prompting.OF_A_TURN if (place := text.find(mark)) >= 0) :]
        allowed = [placeholder for placeholder in values.placeholders if placeholder in known]

        def constrained(choose: Choose) -> Choose:
            return self._constraints.around(choose, allowed, abstain=not prompting.task_of(prompt).approved)

        return Reading(ids, stable, constrained, values.show, Held(prompt.stop, prompting.REPLY, prompting.ABSTAIN))

    def _text(self, prompt: Prompt, values: Values) -> str:
        return prompting.prompt(prompting.task_of(prompt), values)


class ChatFormat:
    """Messages through the tokenizer's own chat template."""

    special = False

    def __init__(self, tokenizer: Any, template: ChatTemplate, ends: frozenset[int]) -> None:
        self._tokenizer, self._template, self._size = tokenizer, template, tokenizer.get_vocab_size()
        self.end = template.after_answer().rstrip()
        after = tokenizer.encode(self.end, add_special_tokens=False).ids
        added = {number: token for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self.ends = ends | frozenset(number for number in after[:1] if number in added)
        if not self.ends:
            raise InputError("no token ends an answer: generation_config.json and config.json lack eos_token_id")
        # A blank in it, and it is text.
        self._broken = {token.content: f"{token.content[0]} {token.content[1:]}" for token in added.values()}

    def text(self, prompt: Prompt) -> str:
        return self._text(prompt)[0]

    def reading(self, prompt: Prompt, room: int) -> Reading:
        for shorter in _shortened(prompt):
            text, own = self._text(shorter)
            found = self._tokenizer.encode(text, add_special_tokens=False)
            if len(found.ids) + prompt.max_tokens <= room:
                break
        else:
            raise _too_long(len(found.ids), room, prompt)
        start = len(text[: text.rfind(own)].rstrip())
        stable = sum(end <= start for _, end in found.offsets)
        return Reading(found.ids, stable, self._constrained, str, Held(prompt.stop, CANARY, ABSTAIN))

    def _constrained(self, choose: Choose) -> Choose:
        """Embeddings may have more rows than there are tokens; those mean nothing."""
        return lambda logits, written: choose(logits[: self._size], written)

    def _text(self, prompt: Prompt) -> tuple[str, str]:
        """The whole, and the part of it that belongs to this turn alone."""
        messages, own = messages_talk_first(prompt)
        return self._template.render([(role, self._plain(words)) for role, words in messages]), self._plain(own)

    def _plain(self, words: str) -> str:
        for mark, broken in self._broken.items():
            words = words.replace(mark, broken)
        return words


def end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text, by the model's files."""
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        listed = (read_json(folder / name) if (folder / name).is_file() else {}).get("eos_token_id")
        found |= set(listed if isinstance(listed, list) else [listed]) - {None}
    config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    token = config.get("eos_token")
    named = tokenizer.token_to_id(token["content"] if isinstance(token, dict) else token) if token else None
    return frozenset(found if named is None else found | {named})


def _shortened(prompt: Prompt) -> Iterator[Prompt]:
    for start in range(0, max(len(prompt.talk), 1), _DROPPED):
        yield replace(prompt, talk=prompt.talk[start:])
    yield replace(prompt, talk=prompt.talk[-1:])


def _too_long(tokens: int, room: int, prompt: Prompt) -> SkillError:
    needed = f"{tokens} tokens and {prompt.max_tokens} for the answer"
    return SkillError("generator", f"the prompt has {needed}; {room} fit: fewer or shorter passages, or more `room`")
