"""The official `openai` client against a served project with real models; and our own remote generator against it."""

from __future__ import annotations

import asyncio
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.core.errors import SkillError
from bot.core.protocols import Prompt
from bot.sections import GeneratorSettings
from skills.remote_generator import RemoteGenerator
from tests.commands import bot
from tests.test_cli import Server
from tests.trained import small_bot

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

pytestmark = pytest.mark.slow
MODEL = "my-bot"
OPEN = "Are you there on public holidays?"
HOURS = "Monday to Friday"
_ACTION = """
import time
from bot.actions import ActionCall, ActionResult, action

@action("action_wait")
def wait(call: ActionCall) -> ActionResult:
    time.sleep(1.0)
    return ActionResult(messages=("utter_goodbye",))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bot, whose goodbye takes a second between two messages."""
    root = Path(shutil.copytree(small_bot(tmp_path_factory), tmp_path_factory.mktemp("bots") / "my-bot"))
    (root / "bot.yml").write_text("name: My bot\nopenai: {requests_per_minute: 1000}\n" + "knowledge: [knowledge/]\n")
    (root / "actions.py").write_text(_ACTION)
    flows = root / "data" / "flows.yml"
    flows.write_text(
        flows.read_text().replace("- action: utter_goodbye", "- action: utter_goodbye\n      - action: action_wait")
    )
    domain = root / "domain.yml"
    domain.write_text(domain.read_text() + "\nactions: [action_wait]\n")
    return root


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Server]:
    served = Server(project)
    try:
        served.wait(lambda: served.get("/readyz")["ready"])
        yield served
    finally:
        served.process.terminate()
        served.process.communicate(timeout=15)


@pytest.fixture(scope="module")
def key(project: Path) -> str:
    """Made while the server runs."""
    return str(bot("keys", "add", "tests", "-p", project, "--json").json["key"])


@pytest.fixture
def client(server: Server, key: str) -> Iterator[openai.OpenAI]:
    import openai

    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key, max_retries=0) as found:
        yield found


def said(answer: ChatCompletion) -> str:
    return answer.choices[0].message.content or ""


def test_it_answers_with_usage_and_source(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": OPEN}])
    assert HOURS in said(answer) and answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens > answer.usage.prompt_tokens > 0
    (source,) = answer.choices[0].message.annotations or ()
    assert source.url_citation.url == "https://www.example.com/opening-hours"
    assert HOURS in said(answer)[source.url_citation.start_index : source.url_citation.end_index]


def test_a_stream_says_the_same(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": OPEN}], stream_options={"include_usage": True}, user="s"
    ) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        whole = stream.get_final_completion()
    assert HOURS in deltas and whole.choices[0].message.content == deltas
    assert whole.usage is not None and whole.usage.completion_tokens > 5


def test_a_talk_keeps_its_flow(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "newsletter please"}])
    talk = [{"role": "user", "content": "newsletter please"}, {"role": "assistant", "content": said(first)}]
    given = [*talk, {"role": "user", "content": "ana@example.com"}]
    answers = {said(client.chat.completions.create(model=MODEL, messages=given)) for _ in range(2)}  # type: ignore[arg-type]
    assert answers == {"Thank you. The newsletter will go to ana@example.com."}


def test_a_client_that_stops_reading_does_not_stop_the_turn(client: openai.OpenAI, server: Server) -> None:
    messages = [{"role": "user", "content": "goodbye"}]
    stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)  # type: ignore[call-overload]
    assert next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    whole = said(client.chat.completions.create(model=MODEL, messages=messages))  # type: ignore[arg-type]
    assert whole.count("Goodbye") == 2
    assert server.wait(lambda: metric(server, "understudy_openai_streams_left_total") == 1, 5)
    assert metric(server, 'understudy_duplicates_suppressed_total{channel="openai"}') >= 1


def metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    import openai

    with pytest.raises(openai.AuthenticationError) as wrong:
        client.with_options(api_key="us-wrong").models.list()
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 2_000}])
    with pytest.raises(openai.BadRequestError) as talk:
        messages = [{"role": "user", "content": "word " * 1_500}] * 20
        client.chat.completions.create(model=MODEL, messages=messages)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=MODEL, input="hi")
    assert (wrong.value.code, unknown.value.code, unknown.value.param) == (
        "invalid_api_key",
        "model_not_found",
        "model",
    )
    assert (long.value.code, talk.value.code) == ("context_length_exceeded", "context_length_exceeded")


def test_a_quota_is_waited_for_by_the_clients_own_retry(client: openai.OpenAI, project: Path) -> None:
    import openai

    few = bot("keys", "add", "few", "-p", project, "--requests-per-minute", 20, "--json").json["key"]
    limited = client.with_options(api_key=few)
    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(500):
            limited.models.list()
    assert (refused.value.type, refused.value.code) == ("requests", "rate_limit_exceeded")
    assert refused.value.response.headers["x-ratelimit-limit-requests"] == "20"
    assert limited.with_options(max_retries=2).models.list().data
    bot("keys", "revoke", "few", "-p", project)
    with pytest.raises(openai.AuthenticationError):
        limited.models.list()


def test_models_and_embeddings(client: openai.OpenAI) -> None:
    bot_model, encoder = client.models.list().data
    assert bot_model.id == MODEL and client.models.retrieve(encoder.id).id == encoder.id == "all-MiniLM-L6-v2"
    texts = ["When do you open?", "What are your opening hours?", "I like tea"]
    plain = client.embeddings.create(model=encoder.id, input=texts, encoding_format="float")
    found = client.embeddings.create(model=encoder.id, input=texts)  # the client asks for base64 and reads it
    one, other, far = (item.embedding for item in found.data)
    assert one == pytest.approx(plain.data[0].embedding) and len(one) == 384
    assert sum(value * value for value in one) == pytest.approx(1, abs=1e-3)
    assert alike(one, other) > alike(one, far) + 0.2
    assert found.usage.prompt_tokens > 10


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_many_clients_at_a_time(server: Server, key: str) -> None:
    import openai

    async def talk(number: int, client: openai.AsyncOpenAI) -> str:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": OPEN}], user=f"user{number}"
        )
        return said(answer)

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key) as client:
            return await asyncio.gather(*(talk(number, client) for number in range(30)))

    assert all(HOURS in answer for answer in asyncio.run(all_of_them()))


async def test_our_own_remote_generator_speaks_through_it(server: Server, key: str) -> None:
    url = f"http://127.0.0.1:{server.port}/v1"
    settings = GeneratorSettings(base_url=url, model=MODEL, api_key=SecretStr(key))
    generator = await RemoteGenerator.connect(settings)
    try:
        await generator.check()
        pieces = [piece async for piece in generator.write(Prompt(talk=(("user", OPEN),), passages=("We open.",)))]
        assert HOURS in "".join(piece.text for piece in pieces) and pieces[-1].done
    finally:
        await generator.close()
    wrong = await RemoteGenerator.connect(settings.model_copy(update={"api_key": SecretStr("us-wrong")}))
    with pytest.raises(SkillError, match="does not take the key"):
        await wrong.check()
    await wrong.close()
