"""``--opt key=value`` becomes the options dataclass of a plugin, or an error that says what would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional

import pytest

from mediafm_cli.api import NoOptions
from mediafm_cli.errors import UsageError
from mediafm_cli.options import options_as_json, parse_options


@dataclass(frozen=True)
class Options:
    count: int = 4
    rate: float = 0.5
    mono: bool = False
    name: str = "plain"
    pool: Literal["mean", "max"] = "mean"
    limit: int | None = 7
    scale: Optional[float] = None  # noqa: UP045 - authors write it either way
    side: Literal["left", "right"] | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count is below 0")


@pytest.mark.parametrize(
    ("pair", "field", "value"),
    [
        ("count=12", "count", 12),
        ("count=-0", "count", 0),
        ("rate=2", "rate", 2.0),
        ("rate=1e-3", "rate", 0.001),
        ("mono=true", "mono", True),
        ("mono=Yes", "mono", True),
        ("mono=1", "mono", True),
        ("mono=on", "mono", True),
        ("mono=false", "mono", False),
        ("mono=NO", "mono", False),
        ("mono=0", "mono", False),
        ("mono=off", "mono", False),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ("name=none", "name", "none"),
        ("pool=max", "pool", "max"),
        ("limit=3", "limit", 3),
        ("limit=none", "limit", None),
        ("limit=", "limit", None),
        ("scale=0.25", "scale", 0.25),
        ("scale=None", "scale", None),
        ("side=right", "side", "right"),
        ("side=none", "side", None),
    ],
)
def test_a_text_becomes_a_value_of_the_fields_type(pair: str, field: str, value: Any) -> None:
    parsed = getattr(parse_options(Options, [pair]), field)

    assert (parsed, type(parsed)) == (value, type(value))


def test_what_is_not_given_keeps_its_default() -> None:
    assert parse_options(Options, ["count=1", "pool=max"]) == Options(count=1, pool="max")
    assert parse_options(Options, []) == Options()
    assert parse_options(NoOptions, []) == NoOptions()


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (["count=many"], "count is 'many'. It must be of type int."),
        (["count=1.5"], "count is '1.5'. It must be of type int."),
        (["rate=fast"], "rate is 'fast'. It must be of type float."),
        (["rate=nan"], "rate is 'nan'. It must be finite."),
        (["scale=-inf"], "scale is '-inf'. It must be finite."),
        (["mono=maybe"], "mono is 'maybe'. It can be true or false."),
        (["pool=min"], "pool is 'min'. It can be: mean, max."),
        (["side=middle"], "side is 'middle'. It can be: left, right."),
        (["limit=x"], "limit is 'x'. It must be of type int."),
        (["count=1", "count=1"], "The option 'count' is given twice."),
        (["count"], "--opt count has no value. Write it as --opt key=value"),
        (["count=-1"], "These options cannot be used. count is below 0."),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_what_can(pairs: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_options(Options, pairs)

    assert str(raised.value) == complaint
    assert raised.value.exit_code == 2


def test_an_unknown_key_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as raised:
        parse_options(Options, ["cuont=1"])

    assert raised.value.what == "There is no option 'cuont'."
    assert raised.value.why == "Known: count, rate, mono, name, pool, limit, scale, side."
    assert raised.value.hint == "Did you mean count?"


def test_a_plugin_without_options_says_so() -> None:
    with pytest.raises(UsageError) as raised:
        parse_options(NoOptions, ["count=1"])

    assert str(raised.value) == "There is no option 'count'. It takes none."


def test_options_are_recorded_by_name() -> None:
    assert options_as_json(Options(count=1, limit=None)) == {
        "count": 1,
        "rate": 0.5,
        "mono": False,
        "name": "plain",
        "pool": "mean",
        "limit": None,
        "scale": None,
        "side": None,
    }
