"""One thread for all of these: threads of small sums wait for each other more than they work."""

from collections.abc import Iterator

import pytest

from training.threads import one_thread


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield
