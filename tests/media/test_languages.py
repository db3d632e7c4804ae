"""The languages that a user names."""

from __future__ import annotations

import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.media.languages import parse_languages


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (None, []),
        (" , ", []),
        ("en", ["en"]),
        ("pt-BR, es_419,zh-Hant-TW", ["pt-BR", "es_419", "zh-Hant-TW"]),
        ("German,ger", ["German", "ger"]),
    ],
)
def test_tags_and_english_names_are_languages(text: str | None, tags: list[str]) -> None:
    assert parse_languages(text) == tags


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("en,englisch", "'englisch' is no language. Did you mean en?"),
        ("de;en", "'de;en' is no language. Name languages as en or pt-BR, with commas between."),
        ("e", "'e' is no language. Name languages as"),
        ("Quenya", "'Quenya' is no language. Name languages as"),
    ],
)
def test_what_is_no_language_is_refused_with_what_may_be_meant(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_languages(text)

    assert str(caught.value).startswith(said)
