"""Settings: bot.yml, the environment, and errors that fit on one screen."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as limited

from bot.config import Settings, load_settings
from bot.core.errors import SettingsError
from tests.project.build import write
from tests.project.test_fuzz import dumped, noise, trees

FULL = """\
    name: Kettle & Co
    languages: [en, de]
    knowledge: articles
    behaviour: {attempts: 2}
    server:
      port: 8080
    store: {path: /var/lib/bot/log.db}
    """


def settings(root: Path, text: str | bytes) -> Settings:
    return load_settings(write(root, {"bot.yml": text}))


def test_a_project_needs_no_settings(tmp_path: Path) -> None:
    loaded = load_settings(tmp_path)
    assert loaded.name == tmp_path.name
    assert (loaded.server.host, loaded.server.port, loaded.languages) == ("127.0.0.1", 5005, ("en",))
    assert loaded.log_file(tmp_path) == tmp_path / ".bot" / "log.db"


def test_settings_are_read_and_carried_to_where_they_are_used(tmp_path: Path) -> None:
    loaded = settings(tmp_path, FULL)
    assert (loaded.knowledge, loaded.server.port, loaded.server.name) == (("articles",), 8080, "Kettle & Co")
    assert (loaded.behaviour.attempts, loaded.behaviour.languages) == (2, ("en", "de"))
    assert loaded.log_file(tmp_path) == Path("/var/lib/bot/log.db")


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_SERVER__PORT", "9090")
    monkeypatch.setenv("BOT_LANGUAGES", "zh,en")
    loaded = settings(tmp_path, FULL)
    assert (loaded.server.port, loaded.languages, loaded.name) == (9090, ("zh", "en"), "Kettle & Co")


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    monkeypatch.setenv("BOT_SERVER__TOKEN_FILE", str(tmp_path / "token"))
    loaded = settings(tmp_path, FULL)
    assert loaded.server.token is not None
    assert loaded.server.token.get_secret_value() == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(loaded)


def test_a_short_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 16") as caught:
        settings(tmp_path, "server: {token: hunter2}\n")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("nmae: x\n", "bot.yml:1", "unknown key 'nmae'; did you mean 'name'?"),
        ("_env_file: /etc/passwd\n", "bot.yml:1", "unknown key '_env_file'"),
        ("self: 1\n", "bot.yml:1", "unknown key 'self'"),
        ("server:\n  prot: 1\n", "bot.yml:2", "unknown key 'server.prot'; did you mean 'port'?"),
        ("server:\n\n  port: many\n", "bot.yml:3", "`server.port`: input should be a valid integer"),
        ("server: {port: 70000}\n", "bot.yml:1", "less than or equal to 65535, found 70000"),
        ("server: 5\n", "bot.yml:1", "`server`"),
        ("languages: [english]\n", "bot.yml:1", "`languages.0`: string should match"),
        ("languages: []\n", "bot.yml:1", "`languages`"),
        ("behaviour:\n  clarify_margin: 2\n", "bot.yml:2", "less than or equal to 1, found 2"),
        ("behaviour: {languages: [de]}\n", "bot.yml:1", "write `languages` at the top level"),
        ("encoder:\n  model: x\n  sha256: abc\n", "bot.yml:3", "`encoder.sha256`"),
        ("encoder:\n  model: x\n", "bot.yml:1", "another encoder needs `sha256`"),
        ("labels:\n  greet: 5\n", "bot.yml:2", "`labels.greet`: input should be a valid string, found 5"),
        ("- name\n", "bot.yml:1", "expected `key: value` lines"),
        ("name: a\nname: b\n", "bot.yml:2", "stands here again"),
        (b"name: \xff\n", "bot.yml:1", "not UTF-8"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(tmp_path: Path, text: str | bytes, where: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, text)
    assert where in str(caught.value) and hint in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("BOT_SERVER__PROT", "1", "there is no such setting; did you mean 'BOT_SERVER__PORT'?"),
        ("BOT_SERVER__PORT", "many", "BOT_SERVER__PORT in the environment: `server.port`"),
        ("BOT_SERVER", "{", "lists and maps are written as JSON"),
        ("BOT_SERVER__TOKEN_FILE", "/nowhere/token", "must name a readable file"),
    ],
)
def test_a_wrong_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)
    assert hint in str(caught.value)


def test_many_wrong_settings_stay_on_one_screen(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="40 errors") as caught:
        settings(tmp_path, "".join(f"k{number}: 1\n" for number in range(40)))
    assert len(str(caught.value).splitlines()) == 14


def test_an_empty_section_is_the_default(tmp_path: Path) -> None:
    assert settings(tmp_path, "server:\nknowledge:\n").server.port == 5005


@limited(max_examples=40)
@given(noise | trees.map(dumped))
def test_any_file_is_read_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder, suppress(SettingsError):
        settings(Path(folder), text.encode("utf-8", "surrogatepass"))


def test_every_setting_of_ours_is_documented() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
