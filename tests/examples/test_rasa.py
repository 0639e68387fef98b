"""The example projects in Rasa's format: they are complete, pass their own test stories, and do what they say, live."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path

import pytest

from bot.core.events import ActionRejected, ReminderSet
from bot.project import load_project
from bot.store import SqlStore
from bot.testing.playing import Subject, play_stories
from bot.testing.reading import read_stories
from tests.examples.rasa_project import EXAMPLES, NAMES, Person, talking, trained
from tests.training.rasa_past import Talk, store
from training.rasa_import import import_rasa
from training.rasa_rows import SqlPast

Root = Callable[[str], Path]
LEAST = {"mood": 8, "restaurant": 15, "faq": 8, "helpdesk": 8}


@pytest.mark.parametrize("name", NAMES)
def test_is_complete_and_reads_without_a_fault(name: str) -> None:
    files = ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml", "data/nlu.yml", "tests/test_stories.yml")
    assert [file for file in files if not (EXAMPLES / name / file).is_file()] == []
    assert load_project(EXAMPLES / name).program.script is not None


@pytest.mark.parametrize("name", NAMES)
def test_has_twenty_examples_an_intent_and_enough_test_stories(name: str) -> None:
    count = Counter(example.intent for example in load_project(EXAMPLES / name).nlu.examples)
    assert {intent: number for intent, number in count.items() if number < 20} == {}
    stories = read_stories(EXAMPLES / name)
    assert len({story.name for story in stories}) == len(stories) >= LEAST[name]


@pytest.mark.parametrize("name", NAMES)
def test_says_nothing_twice(name: str) -> None:
    count = Counter(" ".join(example.text.lower().split()) for example in load_project(EXAMPLES / name).nlu.examples)
    assert [text for text, number in count.items() if number > 1] == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A trained copy of an example."""
    folder = tmp_path_factory.mktemp("rasa")

    @cache
    def copied(name: str) -> Path:
        return Path(shutil.copytree(trained(name, tmp_path_factory), folder / name))

    return copied


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_passes_its_own_test_stories(name: str, root: Root, tmp_path: Path) -> None:
    async with talking(root(name), tmp_path / "log.db") as person:
        models = person.bot.loaded.models
        subject = Subject(models.program, person.bot.parse, models.rank)
        played = await play_stories(read_stories(EXAMPLES / name), subject)
    assert [one.story.name for one in played if not one.passed] == []


@pytest.mark.slow
async def test_a_table_is_booked_with_a_correction_and_a_question_in_between(root: Root, tmp_path: Path) -> None:
    async with talking(root("restaurant"), tmp_path / "log.db", "actions") as person:
        assert await person.say("a table for two people please") == ["Which kitchen shall we set the table for?"]
        assert "french is not cooked here" in " ".join(await person.say("maybe french")).lower()
        assert await person.say("then indian") == ["Would you like to sit outdoors?"]
        told = await person.say("when are you open on Sundays")
        assert told[0].startswith("The kitchen is open") and told[1] == "Would you like to sit outdoors?"
        assert await person.say("sorry, make it five people") == ["Would you like to sit outdoors?"]
        assert await person.say("yes please") == ["Anything we should know, an allergy or a high chair?"]
        (done,) = await person.say("please put a high chair at the table")
        assert done.startswith("Done: indian, 5 people, number T")
        slots = await person.slots()
    assert (slots["guests"], slots["outdoors"], slots["wishes"]) == (5, True, "please put a high chair at the table")


@pytest.mark.slow
async def test_an_order_is_read_by_groups_and_a_move_by_roles(root: Root, tmp_path: Path) -> None:
    async with talking(root("restaurant"), tmp_path / "log.db", "actions") as person:
        (order,) = await person.say("I'd like to order two pizzas and one salad to collect")
        assert order == "I noted: two pizzas, one salad. Ready in half an hour."
        assert await person.say("please move my table from seven to nine") == ["Your table moved from seven to nine."]


@pytest.mark.slow
async def test_a_form_is_stopped_and_forgotten(root: Root, tmp_path: Path) -> None:
    async with talking(root("restaurant"), tmp_path / "log.db", "actions") as person:
        await person.say("could we reserve a table")
        await person.say("the thai one please")
        assert await person.say("forget it, I want to stop") == ["Shall we go on with the booking?"]
        assert await person.say("no thank you") == ["Fine, nothing was booked."]
        assert (await person.slots())["cuisine"] is None
        assert (await person.say("hello"))[0].startswith("Welcome to Three Plates")


@pytest.mark.slow
async def test_a_form_that_was_begun_with_rasa_goes_on_here(root: Root, tmp_path: Path) -> None:
    past = Talk("somebody", 1, time.time() - 60)
    past.session()
    past.user("book_table", "a table please")
    past.heard()
    past.act("table_form")
    past.loop("table_form")
    past.slot("requested_slot", "cuisine")
    past.say("Which kitchen?")
    past.listen()
    source = SqlPast(store(tmp_path / "rasa.db", [past]))
    async with SqlStore(tmp_path / "log.db") as log:
        assert (await import_rasa(source, log)).written == 1
    source.close()
    async with talking(root("restaurant"), tmp_path / "log.db", "actions") as person:
        assert await person.say("the thai one please") == ["How many of you will there be?"]


@pytest.mark.slow
async def test_the_library_answers_by_retrieval_and_by_slot(root: Root, tmp_path: Path) -> None:
    async with talking(root("faq"), tmp_path / "log.db") as person:
        assert (await person.say("I lost my library card on the train"))[0].startswith("Tell any branch")
        assert (await person.say("what is your name, are you a robot"))[0].startswith("I am the desk")
        assert await person.say("what are your opening hours") == ["Which branch do you mean?"]
        assert (await person.say("the mill branch please"))[0].startswith("Old Mill is open")
        assert (await person.say("where can I find he-93"))[0].lower().startswith("he-93 stands")


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The ticket service of the helpdesk, as a person would start it."""
    command = (sys.executable, "-c", f"{START}", str(EXAMPLES / "helpdesk"))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    address = f"http://127.0.0.1:{int(await process.stdout.readline())}"
    monkeypatch.setenv("TICKET_SERVICE_URL", address)
    monkeypatch.setenv("LOOK_BACK_SECONDS", "0.3")
    try:
        yield address
    finally:
        process.terminate()
        await process.wait()


START = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from aiohttp import web
from service.tickets import build
async def main():
    runner = web.AppRunner(build())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def report(person: Person) -> str:
    """Report a broken laptop; the number of the ticket."""
    assert await person.say("my laptop does not work any more") == [
        "What does the sticker on it say? Two letters and four digits, such as LT-2041."
    ]
    assert await person.say("the sticker says LT-3102") == ["How urgent is it?"]
    assert await person.say("very urgent") == ["What is wrong with laptop? One sentence will do."]
    (opened,) = await person.say("it makes a noise and smells of tea")
    assert opened.startswith("I opened HD-")
    return opened.split()[2].rstrip(".")


@pytest.mark.slow
async def test_a_ticket_is_opened_at_the_service_and_asked_about_later(
    root: Root, tmp_path: Path, service: str
) -> None:
    async with talking(root("helpdesk"), tmp_path / "log.db", "actions") as person:
        ticket = await report(person)
        assert await person.say("yes, please do that") == ["I shall ask you again later."]
        assert await person.hears("Hello again") == f"Hello again. Is {ticket} solved by now?"
        assert await person.say("yes, it works now") == [f"Good. I closed {ticket}."]
        assert await person.say("what is the status of my ticket") == [f"{ticket} is closed."]
        facts = [recorded.event for recorded in await person.bot.manager.read(person.id)]
    assert any(isinstance(fact, ReminderSet) for fact in facts)


@pytest.mark.slow
async def test_news_come_from_outside(root: Root, tmp_path: Path) -> None:
    async with talking(root("helpdesk"), tmp_path / "log.db", "actions") as person:
        await person.say("hello")
        told = await person.is_told("EXTERNAL_ticket_changed", ticket="HD-1007", state="waiting for a part")
        assert told == ["News of HD-1007: it is waiting for a part now."]


@pytest.mark.slow
async def test_a_service_that_is_away_is_told_and_nothing_is_lost(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKET_SERVICE_URL", "http://127.0.0.1:9")
    async with talking(root("helpdesk"), tmp_path / "log.db", "actions") as person:
        (told,) = await person.say("please check HD-1003")
        assert told.startswith("The ticket service does not answer")
        for text in ("the calendar shows nothing", "no hurry", "it stays empty all day"):
            told = (await person.say(text))[-1]
        assert told.startswith("The ticket service does not answer")
        assert (await person.slots())["detail"] == "it stays empty all day"


@pytest.mark.slow
async def test_a_reminder_without_a_ticket_is_rejected_and_nobody_is_disturbed(root: Root, tmp_path: Path) -> None:
    async with talking(root("helpdesk"), tmp_path / "log.db", "actions") as person:
        await person.say("hello")
        assert await person.is_told("EXTERNAL_check_back") == []
        facts = [recorded.event for recorded in await person.bot.manager.read(person.id)]
    assert [fact.action for fact in facts if isinstance(fact, ActionRejected)] == ["action_ask_if_solved"]
