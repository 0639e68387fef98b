"""Text from a stream, given on as soon as it is sure that it may be shown.

Held back is what may be the beginning of a stop sequence, of a word that must not be shown, or of the sign that the
writer would rather say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class Leaked(Exception):
    """The text holds the word that it must not hold."""


class Held:
    """Takes tokens, gives text. `begun`: any text has come; `ended`: no more is wanted."""

    def __init__(self, stops: Sequence[str], forbidden: str, abstain: str) -> None:
        self._stops = [stop for stop in stops if stop]
        self._forbidden, self._abstain = forbidden, abstain
        self._held, self._given = "", False
        self.begun = self.ended = self.abstained = False

    def take(self, token: str | None) -> str:
        """The text that may be shown now; None for a token: there are no more.

        Raises:
            Leaked: the forbidden word came.
        """
        self._held += token or ""
        if not self._given:
            self._held = self._held.lstrip()  # models like to begin with a space or a blank line
        self.begun = self.begun or bool(self._held)
        if self._forbidden in self._held:
            raise Leaked
        if not self._given and self._abstain.startswith(self._held[: len(self._abstain)]) and self._abstains(token):
            return ""
        ends = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if ends:
            self._held, self.ended = self._held[: min(ends)], True
        return self._give(0 if self.ended or token is None else self._doubtful())

    def _abstains(self, token: str | None) -> bool:
        """Whether the text is, or may still become, the sign for nothing."""
        if len(self._held) < len(self._abstain):
            return token is not None
        self.abstained = self.ended = True
        self._held = ""
        return True

    def _doubtful(self) -> int:
        """How many characters at the end may be the beginning of something that is not shown."""
        longest = 0
        for word in (*self._stops, self._forbidden):
            for length in range(min(len(word) - 1, len(self._held)), longest, -1):
                if self._held.endswith(word[:length]):
                    longest = length
                    break
        return longest

    def _give(self, keep: int) -> str:
        """All but the last `keep` characters, and spaces at the end wait for what follows them."""
        ready = self._held[: len(self._held) - keep]
        ready = ready.rstrip() if not keep else ready
        self._held = self._held[len(ready) :]
        self._given = self._given or bool(ready)
        return ready
