"""Every error that Understudy raises on purpose.

    BotError
    ├── UserError            somebody can mend it: bad input, bad project, bad setting
    │   ├── ProjectError     a project file is wrong; carries file and line
    │   ├── SettingsError    bot.yml or the environment is wrong
    │   ├── InputError       a request or a data file is wrong
    │   ├── DuplicateMismatch  a message id was used again for another message
    │   └── NotFound         a conversation, bundle or file that is not there
    ├── Refused              we are not taking this now; try again later
    │   ├── Overloaded       a bounded queue is full
    │   │   └── Busy         this conversation's own queue is full
    │   └── StorageUnavailable  the log cannot be written (disk full, locked)
    ├── IllegalHistory       facts that cannot follow one another
    ├── Conflict             somebody else appended to the conversation first
    ├── IntegrityError       a stored file is not what its manifest says
    ├── SkillError           a skill failed, hung or was cancelled
    │   └── DeadlineExceeded
    └── Rejected             a custom action does not want to run now; another may

A message says what was expected, what was found and what to do next. `code` is for machines and never changes.
"""

from __future__ import annotations


class BotError(Exception):
    """Base of all errors raised on purpose. Do not raise it itself."""

    code = "error"
    retryable = False


class UserError(BotError):
    """Somebody outside can mend this; the message tells how."""

    code = "bad_request"


class ProjectError(UserError):
    """A project file is wrong. `where` is `path:line` when the line is known."""

    code = "bad_project"

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class SettingsError(UserError):
    """A setting in bot.yml or the environment is wrong."""

    code = "bad_settings"


class InputError(UserError):
    """A request or a data row does not have the expected form."""

    code = "bad_input"


class DuplicateMismatch(UserError):
    """A client message id was sent again with another content."""

    code = "idempotency_mismatch"


class NotFound(UserError):
    """What was asked for is not there."""

    code = "not_found"


class Refused(BotError):
    """Refused before anything was acknowledged. `retry_after` is in seconds."""

    code = "refused"
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(Refused):
    """A bounded queue is full."""

    code = "overloaded"


class Busy(Overloaded):
    """One conversation has too many messages without an outcome; others are served."""

    code = "busy"


class StorageUnavailable(Refused):
    """The log cannot be written just now."""

    code = "storage_unavailable"


class IllegalHistory(BotError):
    """A fact that cannot follow the facts before it."""

    code = "illegal_history"

    def __init__(self, kind: str, conversation: str, seq: int, why: str) -> None:
        super().__init__(f"{kind!r} cannot be event {seq} of conversation {conversation!r}: {why}")
        self.kind, self.conversation, self.seq = kind, conversation, seq


class Conflict(BotError):
    """The conversation has moved on since it was read."""

    code = "conflict"
    retryable = True


class IntegrityError(BotError):
    """A stored file differs from its manifest. `path` names the file."""

    code = "integrity"

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class SkillError(BotError):
    """A skill could not give a result. `skill` names it."""

    code = "skill_failed"

    def __init__(self, skill: str, message: str) -> None:
        super().__init__(f"skill {skill!r}: {message}")
        self.skill = skill


class DeadlineExceeded(SkillError):
    """The skill did not answer in time."""

    code = "deadline_exceeded"


class Rejected(BotError):
    """A custom action refuses to run now. Something else may be done instead; the turn goes on."""

    code = "action_rejected"

    def __init__(self, action: str) -> None:
        super().__init__(f"action {action!r} refused to run")
        self.action = action
