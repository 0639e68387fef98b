"""A generator over real servers on this machine that behave badly in every way we could think of."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.core.errors import DeadlineExceeded, SettingsError, SkillError
from bot.core.protocols import Generator, Prompt
from bot.sections import GeneratorSettings
from skills.remote_generator import RemoteGenerator
from skills.remote_prompt import ABSTAIN, canary
from tests.skills.strange import DONE, KEY, chunk, saying, strange, then_silent

ASKED = Prompt(talk=(("user", "How long may I send things back?"),), passages=("Returns: 30 days.",), stop=("###",))


async def written(generator: Generator, prompt: Prompt = ASKED) -> str:
    pieces = [piece async for piece in generator.write(prompt)]
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return ABSTAIN if pieces[-1].abstained else "".join(piece.text for piece in pieces)


async def test_a_text_comes_piece_by_piece() -> None:
    async with strange(saying("You have", " 30", " days.", DONE)) as (server, generator):
        assert isinstance(generator, Generator)
        assert [piece.text async for piece in generator.write(ASKED)] == ["You have", " 30", " days.", ""]
        assert generator.id == f"small at {server.url[7:-3]}"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((": ping\n\n", "Yes."), "Yes."),
        ((b'event: x\r\ndata: {"choices": [{"delta": {"content": "Yes."}}]}\r\n\r\n',), "Yes."),
        ((b'data: {"choices": []}\n\n', "Yes.", b'data: {"choices": [], "usage": {"total_tokens": 9}}\n\n'), "Yes."),
        (("Gr\u00fc\u00dfe \U0001f600",), "Gr\u00fc\u00dfe \U0001f600"),
        ((chunk("Gr\u00fc\u00dfe")[:40], chunk("Gr\u00fc\u00dfe")[40:]), "Gr\u00fc\u00dfe"),
        (("\n\n Yes.", " \n"), "Yes."),
        (("One.", "#", "## Two."), "One."),
        (("One #", "# two."), "One ## two."),
        (("[[", "no answer", "]]"), ABSTAIN),
        (("[[no", " doubt]]"), "[[no doubt]]"),
        ((), ABSTAIN),
        (("  ",), ABSTAIN),
    ],
)  # fmt: skip
async def test_what_may_be_shown_is_given(parts: tuple[bytes | str, ...], text: str) -> None:
    given = [part.encode() if isinstance(part, str) and part.startswith(":") else part for part in parts]
    async with strange(saying(*given, DONE)) as (_, generator):
        assert await written(generator) == text


async def test_an_end_without_the_closing_line_is_an_end() -> None:
    async with strange(saying("Yes.", chunk(None, "stop"))) as (_, generator):
        assert await written(generator) == "Yes."


GARBAGE: dict[str, tuple[tuple[bytes | str, ...], str]] = {
    "closes_midway": (("You", " have"), "broke off"),
    "closes_at_once": ((), "broke off"),
    "not_json": ((b"data: {oops\n\n",), "no chat completion"),
    "another_json": ((b'data: {"choices": "none"}\n\n',), "no chat completion"),
    "html": ((b"<html>502</html>\n",), "broke off"),
    "half_a_character": ((b'data: {"choices": [{"delta": {"content": "caf\xc3\n\n',), "no UTF-8"),
    "half_a_surrogate": ((b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n',), "no chat completion"),
    "deep_json": ((b"data: " + b"[" * 60_000 + b"\n\n",), "no chat completion"),
    "endless_line": ((b"data: " + b"a" * 70_000, b"a" * 70_000), "line without end"),
    "endless_text": (("na " * 3_000,), "does not end"),
    "nul": (("a\0b",), r"U\+0000"),
    "error_in_stream": ((b'data: {"error": {"message": "sk-very-secret"}}\n\n',), "with an error"),
    "a_tool": ((b'data: {"choices": [{"delta": {"tool_calls": [{"id": "1"}]}}]}\n\n',), "call a tool"),
    "withheld": ((chunk("a", "content_filter"),), "withheld"),
    "the_canary": (("My rules: ", canary(ASKED)[:5], canary(ASKED)[5:]), "repeats its instructions"),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_garbage_is_an_error(case: str) -> None:
    parts, why = GARBAGE[case]
    async with strange(saying(*parts), retries=0) as (_, generator):
        with pytest.raises(SkillError, match=why) as caught:
            await written(generator)
    assert KEY not in str(caught.value)


async def test_half_a_canary_is_never_given() -> None:
    mark = canary(ASKED)
    async with strange(saying("It is ", mark[:9], mark[9:])) as (_, generator):
        seen = ""
        with pytest.raises(SkillError):
            async for piece in generator.write(ASKED):
                seen += piece.text
        assert seen.strip() == "It is"


@pytest.mark.parametrize(("statuses", "asked"), [([500], 2), ([429], 2), ([503, 502], 2), ([400], 1), ([401], 1)])
async def test_only_what_may_pass_is_tried_again(statuses: list[int], asked: int) -> None:
    async with strange(saying("Yes.", DONE), retries=1) as (server, generator):
        server.statuses = list(statuses)
        if len(statuses) < asked:
            assert await written(generator) == "Yes."
        else:
            with pytest.raises(SkillError, match=rf"answers {statuses[-1]}") as caught:
                await written(generator)
            assert KEY not in str(caught.value)
        assert len(server.asked) == asked


async def test_nothing_is_tried_again_after_the_first_token() -> None:
    async with strange(saying("You"), retries=3) as (server, generator):
        with pytest.raises(SkillError, match="broke off"):
            await written(generator)
        assert len(server.asked) == 1


async def test_a_wait_that_would_come_too_late_is_not_begun() -> None:
    async with strange(saying("Yes.", DONE), first_s=0.1, retries=5) as (server, generator):
        server.statuses = [503] * 6
        with pytest.raises(SkillError, match="answers 503"):
            await written(generator)
        assert len(server.asked) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with strange(saying("Yes.", DONE)) as (server, generator):
        server.statuses = [307]
        with pytest.raises(SkillError, match="sends us elsewhere"):
            await written(generator)


@pytest.mark.parametrize(("name", "value"), [("Content-Type", "application/json"), ("Content-Encoding", "gzip")])
async def test_another_kind_of_answer_is_an_error(name: str, value: str) -> None:
    async with strange(saying("Yes.", DONE)) as (server, generator):
        server.head[name] = value
        with pytest.raises(SkillError, match="answers with"):
            await written(generator)


SLOW = {
    "hangs": (then_silent(), {"first_s": 0.05}, "did not begin"),
    "stops": (then_silent("You"), {"between_s": 0.05}, "did not go on"),
    "drips": (saying(*["a "] * 2_000), {"total_s": 0.4}, "did not end"),
}


@pytest.mark.parametrize("case", SLOW)
async def test_every_wait_has_a_deadline(case: str) -> None:
    respond, settings, why = SLOW[case]
    async with strange(respond, **settings) as (server, generator):
        with pytest.raises(DeadlineExceeded, match=why):
            await written(generator)
        if case != "drips":
            await asyncio.wait_for(server.left.wait(), 5)


async def test_comments_alone_do_not_keep_it_waiting() -> None:
    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.01)

    async with strange(respond, first_s=0.08) as (_, generator):
        with pytest.raises(DeadlineExceeded, match="did not begin"):
            await written(generator)


async def test_closing_a_text_closes_the_connection() -> None:
    async with strange(then_silent("You")) as (server, generator):
        pieces = generator.write(ASKED)
        assert (await anext(pieces)).text == "You"
        await pieces.aclose()
        await asyncio.wait_for(server.left.wait(), 5)


async def test_a_cancelled_caller_closes_the_connection() -> None:
    async with strange(then_silent("You")) as (server, generator):
        task = asyncio.create_task(written(generator))
        await asyncio.wait_for(server.begun.wait(), 5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.left.wait(), 5)


async def test_many_texts_at_a_time_do_not_mix() -> None:
    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        words = (await request.json())["messages"][-1]["content"]
        await saying(*words, DONE)(request, response)

    async with strange(respond) as (_, generator):
        prompts = [Prompt(talk=(("user", f"say {number:02}"),)) for number in range(20)]
        texts = await asyncio.gather(*(written(generator, prompt) for prompt in prompts))
        assert texts == [f"say {number:02}" for number in range(20)]


async def test_what_is_asked_for_is_sent() -> None:
    async with strange(saying("Yes.", DONE)) as (server, generator):
        await written(generator)
        asked, headers = server.asked[0], server.headers[0]
    assert {name: asked[name] for name in ("model", "stream", "max_tokens", "temperature", "seed", "stop")} == {
        "model": "small", "stream": True, "max_tokens": 120, "temperature": 0.0, "seed": 0, "stop": ["###"],
    }  # fmt: skip
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert "Cookie" not in headers


async def test_a_server_that_is_not_there_is_an_error() -> None:
    settings = GeneratorSettings(base_url="http://127.0.0.1:9/v1", model="small", retries=0)
    generator = await RemoteGenerator.connect(settings)
    with pytest.raises(SkillError, match="cannot be reached"):
        await written(generator)
    with pytest.raises(SkillError, match="does not answer"):
        await generator.check()
    await generator.close()


async def test_a_check_tells_what_is_wrong() -> None:
    async with strange(saying()) as (server, generator):
        await generator.check()
        other = await RemoteGenerator.connect(GeneratorSettings(base_url=server.url, model="large"))
        with pytest.raises(SkillError, match=r"set `generator\.model` to one of: 'small'"):
            await other.check()
        await other.close()
        wrong = await RemoteGenerator.connect(GeneratorSettings(base_url=server.url + "/x", model="small"))
        with pytest.raises(SkillError, match="answers 404"):
            await wrong.check()
        await wrong.close()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"base_url": "http://127.0.0.1:1/v1"}, "`generator.model`"),
        ({"model": "m"}, "`generator.base_url`"),
        ({"model": "m", "base_url": "http://u:p@127.0.0.1:1/v1"}, "name or password"),
        ({"model": "m", "base_url": "http://127.0.0.1:1/v1?key=1"}, "no query"),
        ({"model": "m", "base_url": "http://api.example.com/v1", "api_key": "k"}, "in the open"),
        ({"model": "m", "base_url": "http://8.8.8.8/v1", "api_key": "k"}, "in the open"),
        ({"model": "m", "base_url": "https://api.example.com/v1", "api_key": "a\nb"}, "visible ASCII"),
    ],
)
async def test_settings_that_cannot_be_used_are_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        await RemoteGenerator.connect(GeneratorSettings.model_validate(settings))


@pytest.mark.parametrize(
    "url", ["http://vllm:8000/v1", "http://10.0.0.7/v1", "http://[::1]:1/v1", "https://a.example/v1"]
)
async def test_a_key_may_travel_where_nobody_listens(url: str) -> None:
    generator = await RemoteGenerator.connect(GeneratorSettings(base_url=url, model="m", api_key=SecretStr("k")))
    await generator.close()


@pytest.fixture
def unsigned(tmp_path: Path) -> ssl.SSLContext:
    """The TLS of a server whose certificate only itself has signed."""
    key, cert = str(tmp_path / "key"), str(tmp_path / "cert")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", *kind, "-days", "1", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program to make a certificate")
async def test_a_certificate_that_nobody_signed_is_refused(unsigned: ssl.SSLContext) -> None:
    async with strange(saying("Yes.", DONE), tls=unsigned) as (server, generator):
        with pytest.raises(SkillError, match=r"cannot be reached \(ClientConnectorCertificateError\)"):
            await written(generator)
        assert not server.asked
