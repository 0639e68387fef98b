"""The page of settings in the docs says what the code says."""

from __future__ import annotations

from pathlib import Path

from bot.config import Settings
from bot.reference import settings_reference

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_reference(), "run python -m bot.reference > docs/settings.md"


def test_every_section_and_a_secret_are_on_the_page() -> None:
    page = settings_reference()
    sections = [name for name, field in Settings.model_fields.items() if hasattr(field.annotation, "model_fields")]
    assert all(f"## `{name}`" in page for name in sections) and len(sections) == 16
    assert "`BOT_SERVER__TOKEN_FILE`" in page
