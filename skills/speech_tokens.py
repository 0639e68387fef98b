"""A Whisper model's tokens: text to numbers and back, and the marks that are no text.

The ranks come from openai-whisper's own files, kept beside the converted model, so that neither that package nor torch
is loaded. A model with a smaller vocabulary has the first ranks of the English one, which are a complete vocabulary of
their own, as ranks stand in the order in which tokens were merged; its other tokens follow them.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.core.errors import InputError, IntegrityError
from skills.speech_shape import SpeechShape

_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
_LANGUAGES = tuple(_CODES.split(" "))
_MARKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_UNSPOKEN = list('"#()*+/:;<=>@[\\]^_`{|}~「」『』')
_RUNS = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪"
_NOTES = "♩♪♫♬♭♮♯"
_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}
_BROKEN = "\ufffd"


@dataclass(frozen=True)
class SpeechTokens:
    """The tokens of a model. `encoding` is tiktoken's."""

    encoding: Any
    shape: SpeechShape

    @classmethod
    def load(cls, ranks: Path, shape: SpeechShape) -> SpeechTokens:
        """From a file of ranks: a token in base64 and its rank on each line.

        Raises:
            IntegrityError: it is no such file, or holds fewer tokens than the model has.
        """
        import tiktoken

        try:
            lines = (line.split() for line in ranks.read_bytes().splitlines() if line)
            found = {base64.b64decode(token): int(rank) for token, rank in lines}
        except (OSError, ValueError) as error:
            raise IntegrityError(str(ranks), f"expected a token and its rank on each line: {error}") from error
        kept = {token: rank for token, rank in found.items() if rank < shape.text_tokens}
        if len(kept) != shape.text_tokens:
            raise IntegrityError(str(ranks), f"expected {shape.text_tokens} tokens, found {len(kept)}")
        numbers = {name: len(kept) + n for n, name in enumerate(_specials(shape))}
        encoding = tiktoken.Encoding(
            "speech", pat_str=_PATTERN, mergeable_ranks=kept, special_tokens=numbers, explicit_n_vocab=shape.n_vocab
        )
        return cls(encoding, shape)

    @property
    def end(self) -> int:
        """The token that ends a text; all from here on are no text."""
        return self.shape.text_tokens

    @property
    def start(self) -> int:
        """The token after which a text begins."""
        return self.end + 1

    @property
    def times(self) -> int:
        """The first token that is a time; each is 20 ms later than the one before it."""
        return self.shape.n_vocab - 1501

    @property
    def language_tokens(self) -> range:
        """The tokens of the languages, in the order of `languages`."""
        return range(self.start + 1, self.start + 1 + self.shape.languages)

    @property
    def languages(self) -> Sequence[str]:
        """The codes of the languages that the model knows."""
        return _LANGUAGES[: self.shape.languages] if self.shape.multilingual else ["en"]

    def mark(self, name: str) -> int:
        """The number of a mark such as `nospeech`."""
        return self.times - len(_MARKS) + _MARKS.index(name)

    def encode(self, text: str) -> list[int]:
        """Text to tokens; what looks like a mark is text."""
        found: list[int] = self.encoding.encode_ordinary(text)
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the tokens that are text."""
        text: str = self.encoding.decode([token for token in tokens if token < self.end])
        return text

    def beginning(self, language: str, *, times: bool) -> list[int]:
        """What stands before a text in a language.

        Raises:
            InputError: the model does not know the language.
        """
        found = [self.start]
        if self.shape.multilingual:
            found += [self.language_tokens[self.languages.index(self.known(language))], self.mark("transcribe")]
        elif language:
            self.known(language)
        return found if times else [*found, self.mark("notimestamps")]

    def known(self, language: str) -> str:
        """The language's code, if the model knows it.

        Raises:
            InputError: it does not.
        """
        code = language.lower().replace("_", "-").split("-")[0]
        if code not in self.languages:
            known = ", ".join(self.languages)
            raise InputError(f"the recogniser does not know the language {language!r}; it knows: {known}")
        return code

    def begins_word(self, token: int) -> bool:
        """Whether what stood before a token was a whole word: the token is a mark, or begins with a space or a sign."""
        if token >= self.end:
            return True
        first: bytes = self.encoding.decode_single_token_bytes(token)[:1]
        return first.isascii() and not first.isalnum()

    @cached_property
    def never(self) -> list[int]:
        """Tokens that no text holds: marks, and signs that nobody says."""
        marks = ("transcribe", "translate", "startoflm", "startofprev", "nospeech")
        found = {self.start, *(self.mark(name) for name in marks), self.encode(" -")[0], self.encode(" '")[0]}
        for sign in (*_UNSPOKEN, *_RUNS.split(" "), *_NOTES):
            for tokens in (self.encode(sign), self.encode(f" {sign}")):
                if len(tokens) == 1 or sign in _NOTES:
                    found.add(tokens[0])
        return sorted(found)

    @cached_property
    def not_first(self) -> list[int]:
        """Tokens that no text begins with, so that an empty one is not taken for an answer."""
        return [*self.encode(" "), self.end]

    def words(self, tokens: Sequence[int], language: str) -> list[list[int]]:
        """The tokens of a text, word by word; punctuation stands apart. Without spaces, character by character."""
        pieces = list(self._characters(tokens))
        if language in _UNSPACED:
            return pieces
        found: list[list[int]] = []
        for piece in pieces:
            text = self.decode(piece)
            if not found or text.startswith(" ") or text.strip() in string.punctuation:
                found.append(list(piece))
            else:
                found[-1] += piece
        return found

    def _characters(self, tokens: Sequence[int]) -> Iterator[list[int]]:
        """The smallest runs of tokens that are whole characters."""
        piece: list[int] = []
        for token in tokens:
            piece.append(token)
            if _BROKEN not in self.decode(piece):
                yield piece
                piece = []
        if piece:
            yield piece


def _specials(shape: SpeechShape) -> Iterator[str]:
    yield from ("<|endoftext|>", "<|startoftranscript|>")
    yield from (f"<|{code}|>" for code in _LANGUAGES[: shape.languages])
    yield from (f"<|{name}|>" for name in _MARKS)
    yield from (f"<|{n * 0.02:.2f}|>" for n in range(1501))
