"""endpoints.yml and credentials.yml: servers, channels, and values that come from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import ProjectError
from bot.project import Endpoint, Project
from tests.project.build import load

ENDPOINTS = """\
    action_endpoint:
      url: http://${ACTIONS_HOST}:5055/webhook
      token: ${ACTIONS_TOKEN}
      token_name: key
      headers: {X-Tenant: acme, X-Number: 5}
      basic_auth: {username: me, password: "${ACTIONS_TOKEN}!"}
      params: {a: true}
      cafile: ca.pem
      enable_selective_domain: true
    nlg:
      url: grpc://localhost:5056
    """


def given(tmp_path: Path, endpoints: str | None = None, credentials: str | None = None) -> Project:
    return load(tmp_path, {"endpoints.yml": endpoints, "credentials.yml": credentials})


def test_every_setting_of_an_endpoint_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONS_HOST", "here")
    monkeypatch.setenv("ACTIONS_TOKEN", "secret")
    endpoints = given(tmp_path, ENDPOINTS).endpoints
    assert endpoints.action == Endpoint(
        url="http://here:5055/webhook",
        token="secret",
        token_name="key",
        headers={"X-Tenant": "acme", "X-Number": "5"},
        basic_auth=("me", "secret!"),
        params={"a": "true"},
        cafile="ca.pem",
        selective_domain=True,
    )
    assert "secret" not in repr(endpoints)
    assert endpoints.nlg == Endpoint(url="grpc://localhost:5056", grpc=True)


def test_a_variable_that_is_not_set_matters_only_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTIONS_HOST", raising=False)
    endpoints = given(tmp_path, ENDPOINTS).endpoints
    assert endpoints.nlg is not None
    with pytest.raises(ProjectError, match=r"endpoints.yml:2: the environment variable 'ACTIONS_HOST' is not set"):
        _ = endpoints.action


def test_a_project_without_the_files_has_no_servers_and_no_channels(tmp_path: Path) -> None:
    project = given(tmp_path)
    assert (project.endpoints.action, project.endpoints.nlg, len(project.credentials)) == (None, None, 0)


def test_channels_have_their_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", "http://a.example")
    monkeypatch.delenv("ABSENT", raising=False)
    text = "rest:\ncallback: {url: '${URL}/in', retries: 3}\nmy.own.Channel:\n  keys: ['${ABSENT}']\n"
    channels = given(tmp_path, credentials=text).credentials
    assert list(channels) == ["rest", "callback", "my.own.Channel"]
    assert channels["rest"] == {} and channels["callback"] == {"url": "http://a.example/in", "retries": 3}
    assert "my.own.Channel" in channels and "example" not in repr(channels)
    with pytest.raises(ProjectError, match=r"credentials.yml:4: the environment variable 'ABSENT'"):
        _ = channels["my.own.Channel"]


def test_sections_that_are_not_read_are_named_with_what_is_done_instead(tmp_path: Path) -> None:
    text = "event_broker: {url: a}\ntracker_store: {type: redis}\nmodels: {url: '${NOT_SET}'}\n"
    (warning,) = given(tmp_path, text).warnings
    assert str(warning).startswith("endpoints.yml:2: not read: tracker_store: conversations are kept in the log")
    assert "event_broker" in warning.message and "bundles" in warning.message


def test_an_unknown_section_may_belong_to_somebody_else(tmp_path: Path) -> None:
    (warning,) = given(tmp_path, "vectors: {url: 'http://a'}").warnings
    assert "unknown key 'vectors'" in str(warning)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("endpoints", "action_endpont: {url: a}", "unknown key 'action_endpont'; did you mean 'action_endpoint'?"),
        ("endpoints", "action_endpoint: {}", "endpoints.yml:1: action_endpoint: `url` is missing"),
        ("endpoints", "nlg:\n  url: localhost", "endpoints.yml:2: nlg: `url` must be an address such as http://"),
        ("endpoints", "nlg: {url: 'http://a', headers: {a: [b]}}", "`headers` holds texts, found a list for 'a'"),
        ("endpoints", "nlg: {url: 'http://a', basic_auth: {}}", "basic_auth: `username` is missing"),
        ("endpoints", "- a", "expected a map (key: value), found a list"),
        ("endpoints", "a: b: c", "endpoints.yml:1: not valid YAML"),
        ("credentials", "- rest", "credentials.yml:1: expected channels such as `rest:`, found a list"),
        ("credentials", "rest: 5", "channel 'rest': expected its settings as a map (key: value), found the number 5"),
    ],
)
def test_a_fault_has_its_place(tmp_path: Path, name: str, text: str, expected: str) -> None:
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, {f"{name}.yml": text})
    assert expected in str(caught.value)
