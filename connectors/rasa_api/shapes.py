"""The shapes of requests and answers. Answers are made by `bot.core.rasa`; here they are described and checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, RootModel

from connectors.texts import MESSAGE_CHARACTERS, MessageText, Name

Event = dict[str, JsonValue]
Upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
Verbosity = Annotated[Literal["NONE", "APPLIED", "AFTER_RESTART", "ALL"], Upper]
Ranked = Field(min_length=1, max_length=255)


class Given(BaseModel):
    """What is sent; fields that we do not need are ignored, as Rasa does."""

    model_config = ConfigDict(extra="ignore")


class ConversationPath(BaseModel):
    """The path; ids may hold slashes."""

    conversation: Name


class IncludeQuery(Given):
    """Which events to show."""

    include_events: Verbosity = "AFTER_RESTART"


class IncludeUntil(IncludeQuery):
    """Which events to show, and up to when."""

    until: float | None = Field(
        default=None, allow_inf_nan=False, description="Only events at or before this time (seconds since 1970 UTC)."
    )


class AppendQuery(IncludeQuery):
    """What else to do with appended events."""

    output_channel: str = Field(default="", max_length=255, description="Taken for what follows; or `latest`.")
    execute_side_effects: bool = Field(default=False, description="Whether reminders among the events are set.")


class StoryQuery(Given):
    """Which part of the conversation to tell."""

    until: float | None = Field(default=None, allow_inf_nan=False)
    all_sessions: bool = Field(default=False, description="One story for each session, not only for the last one.")


class Reached(IncludeQuery):
    """Where answers go."""

    output_channel: str = Field(default="", max_length=255)


class Tracker(BaseModel):
    """A conversation."""

    sender_id: str
    slots: dict[str, Any]
    latest_message: dict[str, Any]
    latest_event_time: float | None
    followup_action: str | None
    paused: bool
    events: list[dict[str, Any]] | None
    latest_input_channel: str | None
    active_loop: dict[str, Any]
    latest_action: dict[str, str | None]
    latest_action_name: str | None


class RasaEvents(RootModel[Event | list[Event]]):
    """One event or many."""


class EventList(RootModel[list[Event]]):
    """Events."""


class ActionToDo(Given):
    """An action to do."""

    name: Annotated[str, Ranked]
    policy: str | None = Field(default=None, max_length=255)
    confidence: float | None = Field(default=None, ge=0, le=1)


class IntentBody(Given):
    """An intent to trigger; entities as a list of objects, or as a map from type to value."""

    name: Annotated[str, Ranked]
    entities: dict[str, JsonValue] | list[dict[str, JsonValue]] | None = None


class Said(Given):
    """A message of the user to note down. Without `parse_data` it is understood here."""

    text: MessageText
    sender: Literal["user"]
    parse_data: dict[str, JsonValue] | None = None


class RasaResult(BaseModel):
    """The conversation afterwards, and what was said."""

    tracker: Tracker
    messages: list[dict[str, Any]]


class ActionScore(BaseModel):
    """An action and its score."""

    action: str
    score: float


class Prediction(BaseModel):
    """What the policies choose next."""

    scores: list[ActionScore]
    policy: str | None
    confidence: float | None
    tracker: Tracker


class ParseRequest(Given):
    """A text to understand."""

    text: MessageText
    message_id: str | None = Field(default=None, max_length=MESSAGE_CHARACTERS)


class Emulate(Given):
    """Whose answers to imitate."""

    emulation_mode: Annotated[Literal["LUIS", "WIT", "DIALOGFLOW"], Upper] | None = None


class Parsed(RootModel[dict[str, Any]]):
    """What was understood, in Rasa's shape or in that of the service to imitate."""


class RasaReport(RootModel[dict[str, Any]]):
    """A test report."""


class RasaVersion(BaseModel):
    """The version of Rasa whose protocols we speak."""

    version: str
    minimum_compatible_version: str


class ModelStatus(BaseModel):
    """The model in use."""

    model_file: str
    model_id: str
    num_active_training_jobs: int


class TrainQuery(Given):
    """How to train. Rasa's other parameters are accepted: nothing here takes them into account."""

    save_to_default_model_directory: bool = Field(default=True, description="Keep the result for PUT /model.")
    callback_url: str | None = Field(default=None, pattern=r"^https?://\S+$")


class TestQuery(Given):
    """How to test."""

    e2e: bool = False
    callback_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    cross_validation_folds: int | None = Field(default=None, ge=2, le=20)


class ModelToLoad(Given):
    """The model to use."""

    model_file: str | None = Field(default=None, max_length=1_000)
    model_server: dict[str, JsonValue] | None = None
    remote_storage: str | None = None
