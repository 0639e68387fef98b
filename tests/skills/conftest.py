"""The default encoder and a small intent head, made once for all tests of skills."""

from __future__ import annotations

import pytest

from skills.encoder import Encoder
from skills.intent import IntentHead
from tests.skills.shop_rows import ROWS
from training.recipes.intent import fit_intent


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder.load()


@pytest.fixture(scope="session")
def head(encoder: Encoder) -> IntentHead:
    return fit_intent(ROWS, encoder)
