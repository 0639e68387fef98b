"""Keys for the OpenAI-compatible server: kept as digests, shown once, seen at once by a server that runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.keys import FILE, Keys
from tests.commands import bot


def test_a_key_opens_until_it_is_revoked(tmp_path: Path) -> None:
    serving, keys = Keys(tmp_path), Keys(tmp_path)
    assert not serving.known()
    key, secret = keys.add("shop", requests=5)
    assert serving.known()
    client = serving.find(secret)
    assert client is not None and (client.name, client.requests_per_minute) == ("shop", 5)
    assert serving.find(secret[:-1]) is None and serving.find("") is None and serving.find(key.sha256) is None
    assert keys.revoke("shop").id == key.id
    assert serving.find(secret) is None and not serving.known()


def test_the_file_holds_no_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    _, secret = Keys(tmp_path).add("shop")
    assert len(secret) >= 46 and secret.encode() not in (tmp_path / FILE).read_bytes()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_name_is_free_again_after_its_key_was_revoked(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.add("shop")
    with pytest.raises(InputError, match="revoke it first"):
        keys.add("shop")
    keys.revoke("shop")
    keys.add("shop")
    assert [bool(key.revoked) for key in keys.list()] == [True, False]
    with pytest.raises(NotFound, match="no working key 'other'"):
        keys.revoke("other")


@pytest.mark.parametrize(("name", "quota"), [("", 1), ("a\nb", 1), ("x" * 81, 1), ("a", 0)])
def test_a_name_and_its_quotas_must_make_sense(tmp_path: Path, name: str, quota: int) -> None:
    with pytest.raises(InputError):
        Keys(tmp_path).add(name, quota)


def test_a_broken_file_opens_to_nobody(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('[{"id": 1}]')
    with pytest.raises(IntegrityError, match="no list of keys"):
        Keys(tmp_path).find("us-anything")


def test_the_verbs_add_list_and_revoke(tmp_path: Path) -> None:
    (tmp_path / "bot.yml").write_text("name: Small\n")
    assert "is off" in bot("keys", "list", "-p", tmp_path).out
    added = bot("keys", "add", "shop", "-p", tmp_path, "--tokens-per-minute", 100, "--json").json
    assert Keys(tmp_path / ".bot").find(added["key"])
    listed = bot("keys", "list", "-p", tmp_path)
    assert "shop" in listed.out and added["key"] not in listed.out and "sha256" not in listed.out
    assert bot("keys", "revoke", added["id"], "-p", tmp_path).code == 0
    assert bot("keys", "revoke", added["id"], "-p", tmp_path).code == 2
    assert [key["revoked"] != "" for key in bot("keys", "list", "-p", tmp_path, "--json").json] == [True]
