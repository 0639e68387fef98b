"""Requests and answers of an OpenAI-compatible server, as far as a bot can meet them (openai-openapi 2.3.0).

Fields that steer a sampling model (temperature, seeds, penalties) are taken and change nothing; unknown fields too, for
front ends send many. What a bot cannot do is refused where it is read, in `connectors.openai_api_talks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from connectors.texts import PRINTABLE, WORD

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Person = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PRINTABLE)]
ConversationName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=WORD)]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=WORD)]


class Lenient(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="ignore")


class ContentPart(Lenient):
    """A piece of a message; only text can be read."""

    type: str
    text: str | None = None


class RequestMessage(Lenient):
    """One message of the talk so far."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None


class StreamOptions(Lenient):
    """How the stream ends."""

    include_usage: bool = False


class ResponseFormat(Lenient):
    """What the answer is to look like."""

    type: str = "text"


class ChatRequest(Lenient):
    """`POST /v1/chat/completions`."""

    model: ModelName
    messages: list[RequestMessage] = Field(min_length=1, max_length=2_000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=2**31)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=2**31)
    n: int | None = Field(default=None, ge=1, le=128)
    logprobs: bool | None = None
    response_format: ResponseFormat | None = None
    tool_choice: JsonValue = None
    modalities: list[str] | None = Field(default=None, max_length=8)
    user: Person | None = None
    safety_identifier: Person | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)


class ChatHeaders(BaseModel):
    """How a client names its conversation and its message, if it does."""

    conversation: ConversationName | None = Field(default=None, alias="X-Conversation-Id")
    message: MessageId | None = Field(default=None, alias="Idempotency-Key")


class Usage(BaseModel):
    """Tokens of the encoder's vocabulary."""

    prompt_tokens: int
    completion_tokens: int = 0
    total_tokens: int


class UrlCitation(BaseModel):
    """The characters [start_index, end_index) of the content rest on this page."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A source of the answer that has an address."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AnswerMessage(BaseModel):
    """What the bot said in this turn."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation] = []


class AnswerChoice(BaseModel):
    """The only one."""

    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    """A whole answer. `system_fingerprint` is the bundle of models that is in use."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: Usage
    system_fingerprint: str | None = None


class Delta(BaseModel):
    """What is new. Fields that are not set are not sent."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    annotations: list[Annotation] = []


class ChunkChoice(BaseModel):
    """The only one."""

    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Literal["stop", "length"] | None = None


class Chunk(BaseModel):
    """A part of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None


class EmbeddingRequest(Lenient):
    """`POST /v1/embeddings`."""

    model: ModelName
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(default=None, ge=1, le=2**31)
    user: Person | None = None


class EmbeddingItem(BaseModel):
    """A unit vector; as base64 it is little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage


class ModelCard(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "understudy"


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ModelSegment(BaseModel):
    """The path of a model."""

    model: ModelName
