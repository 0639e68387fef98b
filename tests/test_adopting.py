"""A Rasa project is taken over where it is: one file is written, and nothing else is touched."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bot.adopting import adopt
from bot.cli.main import main
from bot.config import load_settings
from bot.core.errors import InputError
from bot.project import load_project

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "rasa"


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def helpdesk(tmp_path: Path) -> Path:
    left_out = shutil.ignore_patterns(".bot", "results", "__pycache__")
    return Path(shutil.copytree(EXAMPLES / "helpdesk", tmp_path / "desk", ignore=left_out))


def test_only_bot_yml_is_written(helpdesk: Path) -> None:
    before = files(helpdesk)
    adopt(helpdesk)
    after = files(helpdesk)
    assert set(after) - set(before) == {"bot.yml"}
    assert {name: after[name] for name in before} == before


def test_the_settings_say_what_rasas_files_say(helpdesk: Path) -> None:
    config = helpdesk / "config.yml"
    config.write_text(config.read_text().replace("language: en", "language: de"))
    without = load_project(helpdesk).settings.languages
    adopt(helpdesk)
    settings = load_settings(helpdesk)
    assert (settings.name, settings.languages, without) == ("desk", ("de",), ("de",))


def test_says_what_becomes_of_each_part(helpdesk: Path) -> None:
    maps = dict(adopt(helpdesk).maps)
    assert maps["config.yml: TEDPolicy"] == "the learned ranking"
    assert maps["endpoints.yml: action_endpoint http://127.0.0.1:5055/webhook"].startswith("called over HTTP")
    assert maps["credentials.yml: callback"] == "the same channel"
    assert maps["2 forms"] == "the same"


def test_names_what_has_no_counterpart(helpdesk: Path) -> None:
    config = helpdesk / "config.yml"
    config.write_text(config.read_text().replace("- name: DIETClassifier", "- name: my.SpellChecker"))
    (helpdesk / "credentials.yml").write_text("my_channels.Fax:\n  number: 1\n")
    shutil.rmtree(helpdesk / "tests")
    found = adopt(helpdesk)
    assert dict(found.maps)["config.yml: my.SpellChecker"] == "nothing: it is left out"
    assert dict(found.maps)["credentials.yml: my_channels.Fax"].startswith("not served")
    assert any("my.SpellChecker" in line for line in found.missing)
    assert any("no test stories" in line for line in found.missing)


def test_tells_the_next_commands(helpdesk: Path) -> None:
    commands = adopt(helpdesk).commands
    assert f"bot import --rasa-store sqlite:///{helpdesk}/helpdesk.db -p {helpdesk}" in commands
    assert commands[-1] == f"bot serve {helpdesk} --actions actions"


def test_a_password_is_not_shown(helpdesk: Path) -> None:
    (helpdesk / "endpoints.yml").write_text(
        "tracker_store:\n  type: SQL\n  dialect: postgresql\n  url: db\n  port: 5432\n  db: rasa\n"
        "  username: ann\n  password: hunter2\n"
    )
    (told,) = [line for line in adopt(helpdesk).commands if "--rasa-store" in line]
    assert "postgresql://ann:PASSWORD@db:5432/rasa" in told and "hunter2" not in told
    assert told.startswith("pip install psycopg2-binary")


def test_what_is_there_is_not_overwritten(helpdesk: Path) -> None:
    adopt(helpdesk)
    before = files(helpdesk)
    with pytest.raises(InputError, match="exists already"):
        adopt(helpdesk)
    assert files(helpdesk) == before


def test_a_folder_that_is_no_rasa_project_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=r"no domain\.yml"):
        adopt(tmp_path)
    assert files(tmp_path) == {}


def test_from_the_command_line(
    helpdesk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["bot", "init", "--from", str(helpdesk)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    told = capsys.readouterr().out
    assert "the learned ranking" in told and "bot train" in told and "nothing else was written" in told
