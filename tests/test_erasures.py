"""A running bot learns that somebody was erased, and drops what it remembers."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from benchmarks.erasing import remembered
from bot.app import LOOK_EVERY, Wiring, open_bot
from bot.core.messages import Address, Message, Text
from bot.core.protocols import Inbound
from bot.forgetting import Erasures
from tests.commands import COMMAND
from tests.trained import small_bot
from training.receipts import Receipt, Receipts


def test_a_receipt_is_noticed_once(tmp_path: Path) -> None:
    erasures, receipts = Erasures(tmp_path), Receipts(tmp_path)
    assert not erasures.happened()
    receipts.issue(Receipt(id="1", at="", person="", conversations=()))
    assert erasures.happened() and not erasures.happened()


@pytest.fixture
def root(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_bot(tmp_path_factory), tmp_path / "bot"))


@pytest.mark.slow
async def test_after_an_erasure_no_object_of_the_bot_holds_the_words(root: Path) -> None:
    word = "zebra" + str(len("quartz") * 111)
    async with open_bot(root, Wiring(watch=True, patient=True)) as running:
        message = Message(id="m", parts=(Text(text=f"my {word} is late"),))
        receipt = await running.manager.submit(
            Inbound(address=Address(channel="rest", conversation="kim", sender="kim"), message=message, key="k")
        )
        await receipt.settled()
        del message, receipt
        assert remembered(word) > 0
        erased = await asyncio.create_subprocess_exec(*COMMAND, "erase", "kim", "-p", root, "--yes", stdout=DEVNULL)
        assert await erased.wait() == 0
        await asyncio.sleep(2 * LOOK_EVERY)
        assert remembered(word) == 0
