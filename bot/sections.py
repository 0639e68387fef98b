"""The sections of bot.yml. Docstrings below the fields are the reference that docs/settings.md is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

MINILM = "all-MiniLM-L6-v2"
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def parts(value: object) -> object:
    """A single text is a list; commas separate, as environment variables hold no lists."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class StoreSettings(Section):
    """The log of conversations."""

    path: Path | None = None
    """The SQLite file; relative to the project. Default: `log.db` in the state folder."""


class EncoderSettings(Section):
    """The sentence encoder that all skills share."""

    model: str = Field(default=MINILM, min_length=1)
    """`all-MiniLM-L6-v2` (comes with the installation), a folder, or the id of a Hugging Face repository."""
    revision: str | None = None
    """Commit of the repository, 40 hex digits; needed for a repository."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of `model.safetensors`, 64 hex digits; needed for a folder or a repository."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of one forward pass."""
    recent_mib: int = Field(default=32, ge=0, le=65_536)
    """Memory for the encodings of recent short texts, in MiB: what is said again costs nothing. 0: none."""

    @model_validator(mode="after")
    def _pinned(self) -> EncoderSettings:
        """Weights of another encoder are only used when they are the ones that were meant."""
        if self.model != MINILM and self.sha256 is None:
            raise ValueError("another encoder needs `sha256`, the digest of its model.safetensors")
        return self


class RunnerSettings(Section):
    """How skills are run."""

    deadline_s: float = Field(default=5.0, gt=0, le=600)
    """Seconds until a skill that has not answered is given up and the fallback answer is sent."""
    max_batch: int = Field(default=32, ge=1, le=1024)
    """Most items of one batch."""


class QueueSettings(Section):
    """How much may wait before new messages are refused."""

    conversation: int = Field(default=64, ge=1, le=10_000)
    """Messages of one conversation without an outcome."""
    all: int = Field(default=2_000, ge=1, le=1_000_000)
    """Messages of all conversations together without an outcome."""


class RetrievalSettings(Section):
    """Answers from documents."""

    top: int = Field(default=5, ge=1, le=100)
    """How many passages a search gives."""
    floor: float | None = Field(default=None, ge=0, le=1)
    """Relevance below which the bot says that it does not know, 0 to 1. Default: fitted on the documents."""


class ChannelSettings(Section):
    """One channel."""

    payloads: bool = False
    """Whether anybody may type `/intent{"entity": "value"}`, `/restart` and the like and is obeyed, as in Rasa: for
    test harnesses. Off: such texts are words, and only buttons that the bot has sent are obeyed."""


class ChannelsSettings(Section):
    """The channels. Which of them are served: docs/channels.md."""

    web: ChannelSettings = ChannelSettings()
    """The web page and our own API."""
    rest: ChannelSettings = ChannelSettings()
    """Rasa's REST channel."""
    callback: ChannelSettings = ChannelSettings()
    """Rasa's callback channel."""
    socketio: ChannelSettings = ChannelSettings()
    """Rasa's Socket.IO channel."""


class ActionSettings(Section):
    """Custom actions. Which server runs them: docs/actions.md."""

    deadline_s: float = Field(default=10.0, gt=0, le=600)
    """Seconds until an action that has not answered is given up and the user is told that something went wrong."""
    compress: bool = False
    """Whether requests to an action server over HTTP are deflated."""
    words_deadline_s: float = Field(default=2.0, gt=0, le=600)
    """Seconds until a server that words responses is given up and the domain's own wording is sent."""


class OpenAISettings(Section):
    """The bot as a model behind an OpenAI-compatible server at `/v1`. Off until a key exists: `bot keys add NAME`."""

    model: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^\s/]+$")
    """The name of the model that clients ask for. Default: the bot's name in small letters."""
    context_tokens: int = Field(default=16_384, ge=16, le=1_000_000)
    """Tokens that the messages of one request may hold."""
    requests_per_minute: int = Field(default=60, ge=1, le=1_000_000)
    """Requests of one key; `bot keys add` can give a key its own number."""
    tokens_per_minute: int = Field(default=100_000, ge=1, le=1_000_000_000)
    """Tokens of one key, those of answers counted; `bot keys add` can give a key its own number."""


class ToneSettings(Section):
    """How worded answers sound."""

    style: str = Field(default="", max_length=200)
    """For language models that follow instructions: `warm and informal`. The starter model learns its style from the
    log instead."""
    sentences: int = Field(default=0, ge=0, le=100)
    """The most sentences of an answer; what comes after them is left out. 0: any number."""
    avoid: Annotated[tuple[str, ...], NoDecode] = ()
    """Words and phrases that no answer may hold; one that does is replaced by the approved answer."""
    instead: dict[str, str] = {}
    """Words that the team says instead of others: `package: parcel`."""

    @field_validator("avoid", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return parts(value)


class GeneratorSettings(Section):
    """A language model that words answers. Off: a bot answers from approved text until its generator is proven."""

    enabled: bool = True
    """Whether it is used. false: every answer is said as it was approved."""
    model: str | None = None
    """A folder, the id of a Hugging Face repository, or `starter` (trained by yourself for now): what `bot train`
    fine-tunes on the log; it speaks once its gate has passed. With `base_url`, the name of the served model."""
    deadline_s: float = Field(default=5.0, gt=0, le=600)
    """Seconds for an answer's words and their checks; after that it is said as approved."""
    max_tokens: int = Field(default=160, ge=1, le=4096)
    """The most tokens of an answer."""
    memory_mib: int = Field(default=256, ge=0, le=1_048_576)
    """Memory for what was read of recent conversations, in MiB: their next turn pays only for what is new."""
    sites: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that a worded answer may link to, such as `shop.example`, where a passage holds the link. Default: any that
    a passage holds."""
    tone: ToneSettings = ToneSettings()
    """How answers sound."""
    channels: dict[str, ToneSettings] = {}
    """How they sound on some channels instead: `slack: {sentences: 3}`."""
    revision: str | None = None
    """Commit of the repository, 40 hex digits."""
    base_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """An OpenAI-compatible server to use instead of a model of our own, such as http://127.0.0.1:8000/v1."""
    api_key: SecretStr | None = Field(default=None, min_length=1)
    """What that server asks for; sent as `Authorization: Bearer`, in the open only to this machine or its network."""
    connect_s: float = Field(default=2.0, gt=0, le=60)
    """Seconds until that server must have taken the connection."""
    first_s: float = Field(default=4.0, gt=0, le=600)
    """Seconds until its first token; tries again count too. Raise `deadline_s` with it."""
    between_s: float = Field(default=2.0, gt=0, le=600)
    """Seconds from one of its tokens to the next."""
    total_s: float = Field(default=20.0, gt=0, le=600)
    """Seconds for its whole text; `deadline_s` ends it sooner."""
    retries: int = Field(default=1, ge=0, le=5)
    """How often it is asked again before its first token, if it is busy, broken or not there."""

    @field_validator("sites", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return parts(value)


class SpeakerSettings(Section):
    """What says the answers."""

    kind: Literal["espeak", "wyoming", "openai", "browser"] = "espeak"
    """espeak: the program espeak-ng of this machine. wyoming, openai: a server at `url`. browser: the caller's own
    browser, for the web page only; other wires then say nothing."""
    voices: dict[str, str] = {}
    """Voices that it knows, for each language: `{en: en-gb, de: de}`. Default: its own choice for the language."""
    rate: float = Field(default=1.0, gt=0.2, lt=5)
    """A factor on the usual pace."""
    url: str | None = Field(default=None, pattern=r"^(https?|tcp)://\S+$")
    """The server: `tcp://127.0.0.1:10200` for wyoming, `http://127.0.0.1:8000/v1` for openai."""
    model: str = Field(default="tts-1", max_length=200)
    """The name of the model at an OpenAI-compatible server."""
    api_key: SecretStr | None = Field(default=None, min_length=1)
    """What that server asks for."""
    connect_s: float = Field(default=2.0, gt=0, le=60)
    """Seconds until that server must have taken the connection."""
    first_s: float = Field(default=3.0, gt=0, le=600)
    """Seconds until the first sound of a sentence."""
    between_s: float = Field(default=2.0, gt=0, le=600)
    """Seconds from one piece of its sound to the next."""
    total_s: float = Field(default=30.0, gt=0, le=600)
    """Seconds until the whole sentence must have been made, though it is said as it comes."""
    cache_mib: int = Field(default=16, ge=0, le=65_536)
    """Memory for sentences that were said before, in MiB. 0: none."""

    @model_validator(mode="after")
    def _with_address(self) -> SpeakerSettings:
        """A server has an address."""
        if self.kind in ("wyoming", "openai") and self.url is None:
            raise ValueError(f"a speaker of the kind {self.kind!r} needs `url`, the server's address")
        return self


class VoiceSettings(Section):
    """Calls. docs/voice.md tells how to try them and how each wire is set up."""

    enabled: bool = False
    """Whether `bot serve` takes calls. `bot voice FILE.wav` needs no switch."""
    recogniser: str = Field(default="starter", min_length=1)
    """`starter`, a checkpoint file, or the name of a Whisper model: `base`."""
    language: str = Field(default="", pattern=r"^([a-z]{2,3})?$")
    """The language that is spoken. Default: the bot's first one."""
    speaker: SpeakerSettings = SpeakerSettings()
    """What says the answers."""
    fallbacks: tuple[SpeakerSettings, ...] = ()
    """Who says a sentence that the speaker could not say, in this order: `[{kind: espeak}]`."""
    deadline_s: float = Field(default=10.0, gt=0, le=600)
    """Seconds until a recogniser that has not answered is given up."""
    disclosure: str = Field(default="", max_length=500)
    """Said first in every call. Default: `notice` of the server."""
    greeting: str = Field(default="", max_length=500)
    """Said after it."""
    record: bool = False
    """Whether the sound of what callers say is kept in the log, for learning."""
    record_notice: str = Field(default="This call is recorded to improve our service.", min_length=1, max_length=500)
    """Said after the disclosure when calls are recorded."""
    still_there: str = Field(default="Are you still there?", min_length=1, max_length=500)
    """Said when the caller is silent for long."""
    say_again: str = Field(default="Sorry, I did not catch that. Please say it again.", min_length=1, max_length=500)
    """Said when somebody spoke and no word could be made out."""
    farewell: str = Field(default="I cannot hear you. Goodbye.", min_length=1, max_length=500)
    """Said before we hang up on a silent caller."""
    calls: int = Field(default=16, ge=1, le=10_000)
    """Calls at a time; the next one is refused."""
    call_s: float = Field(default=1_800.0, gt=0, le=86_400)
    """The longest call, in seconds."""
    wyoming_host: str = "127.0.0.1"
    """The address of the Wyoming server. It knows no password: whoever reaches it may use it."""
    wyoming_port: int | None = Field(default=None, ge=0, le=65_535)
    """Its port, such as 10300. Default: there is none."""
    twilio_token: SecretStr | None = Field(default=None, min_length=1)
    """The auth token of the Twilio account, for signatures. Default: no calls from Twilio."""
    public_url: str | None = Field(default=None, pattern=r"^(https|wss)://\S+$")
    """Our address as Twilio calls it, such as wss://bot.shop.example; part of what is signed."""


class GateSettings(Section):
    """What a newly trained bundle must show before it is put to use. The rules: docs/gate.md."""

    critical: Annotated[tuple[str, ...], NoDecode] = ()
    """Intents of which no message may be understood worse than now: payments, safety, handing over to a person. In the
    environment: separated by commas."""

    samples: Annotated[tuple[str, ...], NoDecode] = ()
    """Test files that are samples of what people write, not promises: `tests/customers.yml`. One of their conversations
    may be lost for three that are won; of all others none. In the environment: separated by commas."""

    @field_validator("critical", "samples", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return parts(value)


class TrainingSettings(Section):
    """How the bot's skills are trained. docs/training.md tells what each method costs and brings."""

    method: Literal["auto", "frozen", "few-shot", "late-branch", "lora", "full"] = "auto"
    """How intents are learned. auto: few-shot up to 15 examples an intent on average, else frozen; both take seconds.
    late-branch tunes the encoder's last two layers for the intents: minutes of training, and a third of a forward more
    for each message. lora and full tune all layers: a second forward."""


class LearningSettings(Section):
    """How the bot learns from conversations. docs/learning.md tells the whole."""

    replay_per_intent: int = Field(default=50, ge=0, le=1000)
    """Masked messages of each intent that go on teaching when their conversations have expired. 0: none; then a bot
    forgets what only old conversations taught it."""


class PrivacySettings(Section):
    """What may be learned from, and for how long. docs/privacy.md tells what masking does."""

    train: Literal["opt-out", "opt-in"] = "opt-out"
    """opt-out: conversations teach unless the person refused; opt-in: only those of people who agreed."""
    retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days after its last event when `bot erase --expired` deletes a conversation and it teaches no more, but for what
    `learning.replay_per_intent` keeps of it. Default: kept."""
    regions: Annotated[tuple[Region, ...], NoDecode] = ()
    """Countries, as ISO 3166 letters, whose phone numbers come without a prefix. Default: those of the languages.
    In the environment: separated by commas."""

    @field_validator("regions", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return parts(value)
