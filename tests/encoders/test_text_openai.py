"""``text.openai`` over real HTTP against a server on this machine that checks each request and fails on demand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from embeddings_server import (
    KEY,
    EmbeddingsServer,
    changed,
    dropping,
    embedding_of,
    failing,
    saying,
)

from mediafm_cli.api import Shot
from mediafm_cli.encoders.text_openai import TextOpenAI, TextOpenAIOptions
from mediafm_cli.errors import MediafmError, UnavailableError, UsageError
from mediafm_cli.testing import assert_encoder

WIDTH = 16


def make_shots(texts: list[str]) -> list[Shot]:
    return [Shot(row, row * 2.0, row * 2.0 + 2.0, text=text) for row, text in enumerate(texts)]


def loaded(**options: Any) -> TextOpenAI:
    encoder = TextOpenAI(TextOpenAIOptions(**{"dimensions": WIDTH, **options}))
    encoder.preflight()
    encoder.load()
    return encoder


def encode(texts: list[str], **options: Any) -> np.ndarray:
    return loaded(**options).encode(make_shots(texts))


def expected(texts: list[str], width: int = WIDTH) -> np.ndarray:
    return np.stack([embedding_of(text, width) for text in texts])


def test_it_keeps_the_contract(server: EmbeddingsServer) -> None:
    assert_encoder(TextOpenAI, TextOpenAIOptions(dimensions=WIDTH))


def test_vectors_are_those_of_the_server_in_order(server: EmbeddingsServer) -> None:
    texts = [f"line {n}" for n in range(50)]

    np.testing.assert_allclose(encode(texts), expected(texts), atol=1e-6)


def test_the_server_is_asked_for_the_model_and_its_width(server: EmbeddingsServer) -> None:
    encode(["hello"], dimensions=768)

    (asked,) = server.asked
    assert (asked["model"], asked["dimensions"], asked["input"]) == ("text-embedding-3-large", 768, ["hello"])


def test_a_model_of_fixed_width_is_not_asked_for_a_width(server: EmbeddingsServer) -> None:
    encode(["hello"], model="nomic-embed-text", dimensions=1536, send_dimensions=False)

    assert "dimensions" not in server.asked[0]


# --- as few requests as the limits allow ------------------------------------------------------------------------------


def test_a_text_is_sent_once_however_often_it_is_said(server: EmbeddingsServer) -> None:
    encoder = loaded()
    texts = ["[music]", "Yes.", "[music]", "No.", "Yes."]

    first = encoder.encode(make_shots(texts))
    second = encoder.encode(make_shots(["No.", "Maybe.", "[music]"]))

    assert server.paid_for == ["[music]", "Yes.", "No.", "Maybe."]
    np.testing.assert_allclose(first, expected(texts), atol=1e-6)
    np.testing.assert_allclose(second, expected(["No.", "Maybe.", "[music]"]), atol=1e-6)


def test_a_request_holds_2048_texts(server: EmbeddingsServer) -> None:
    texts = [f"line {n}" for n in range(5000)]

    vectors = encode(texts)

    assert [len(body["input"]) for body in server.asked] == [2048, 2048, 904]
    np.testing.assert_allclose(vectors, expected(texts), atol=1e-6)


def test_a_request_holds_300_000_tokens_counted_as_bytes(server: EmbeddingsServer) -> None:
    texts = [f"{n:04d} " + "é" * 1500 for n in range(250)]  # 3,005 bytes each: 99 in a request

    encode(texts)

    assert [len(body["input"]) for body in server.asked] == [99, 99, 52]


@pytest.mark.parametrize("letter", ["a", "é", "你", "👋"])
def test_a_long_text_is_cut_within_the_limit_and_pooled_by_length(letter: str, server: EmbeddingsServer) -> None:
    words = 20_000 // len((letter * 40).encode())
    text = " ".join(f"{letter * 40}{n}" for n in range(words))

    (vector,) = encode([text])

    pieces = server.paid_for
    assert len(pieces) == 3
    assert " ".join(pieces) == text
    pooled = sum(len(piece.encode()) * embedding_of(piece, WIDTH).astype(float) for piece in pieces)
    np.testing.assert_allclose(vector, pooled / np.linalg.norm(pooled), atol=1e-6)


def test_a_long_text_without_a_space_is_cut_between_letters(server: EmbeddingsServer) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(6000))

    encode([text])

    assert "".join(server.paid_for) == text


def test_parts_are_the_requests_that_will_be_sent(server: EmbeddingsServer) -> None:
    encoder = loaded()
    shots = make_shots([f"{n:04d} " + "x" * 3000 for n in range(150)])

    parts = encoder.split(shots)

    for number, part in enumerate(parts, 1):
        encoder.encode(part)
        assert len(server.asked) == number
    assert [shot for part in parts for shot in part] == shots


# --- what a server does on a bad day ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [failing(500), failing(503), failing(408), dropping], ids=["500", "503", "408", "dropped"]
)
def test_what_fails_in_passing_is_tried_again(fault: Any, server: EmbeddingsServer) -> None:
    server.faults = [fault, fault]

    vectors = encode(["hello"])

    assert len(server.asked) == 3
    np.testing.assert_allclose(vectors, expected(["hello"]), atol=1e-6)


def test_the_pause_that_the_server_asks_for_is_kept(server: EmbeddingsServer) -> None:
    server.faults = [failing(429, Retry_After="2")]
    began = time.monotonic()

    encode(["hello"])

    assert 2.0 <= time.monotonic() - began < 4.0
    assert len(server.asked) == 2


def test_retries_have_an_end_that_says_so(server: EmbeddingsServer) -> None:
    server.faults = [failing(500)] * 9

    with pytest.raises(
        UnavailableError, match=r"does not answer after 2 retries.*try later.*run the same command again"
    ):
        encode(["hello"], max_retries=2)

    assert len(server.asked) == 3


def test_an_account_without_credit_is_not_asked_again(server: EmbeddingsServer) -> None:
    server.faults = [failing(429, "You exceeded your current quota.", "insufficient_quota")] * 9

    with pytest.raises(UnavailableError, match="has no credit left"):
        encode(["hello"])

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (saying(b'{"object": "list", "data": [{"emb'), "no list of embeddings"),
        (saying(b"<html>Welcome to the hotel</html>", Content_Type="text/html"), "no list of embeddings"),
        (saying(b'{"object": "list", "data": []}'), "no list of embeddings"),
        (saying(b"[]"), "no list of embeddings"),
        (changed(lambda answer: answer["data"].pop()), "2 embeddings for 3 texts"),
        (changed(lambda answer: answer["data"][1].update(index=0)), "numbers them wrongly"),
        (changed(lambda answer: answer["data"][1].update(embedding=[0.5] * 8)), "instead of 16"),
        (changed(lambda answer: answer["data"][1].update(embedding=[float("nan")] * 16)), "zero or not finite"),
        (changed(lambda answer: answer["data"][1].update(embedding=[0.0] * 16)), "zero or not finite"),
        (changed(lambda answer: answer["data"][1].update(embedding=[1e300] * 16)), "zero or not finite"),
        (changed(lambda answer: answer["data"][1].update(embedding=[[1.0], [2.0, 3.0]])), "no list of embeddings"),
        (changed(lambda answer: answer["data"][1].update(embedding={"a": 1})), "no list of embeddings"),
        (changed(lambda answer: answer["data"][1].update(index="one")), "no list of embeddings"),
    ],
)
def test_a_malformed_answer_is_an_error_and_never_a_vector(fault: Any, said: str, server: EmbeddingsServer) -> None:
    server.faults = [fault]

    with pytest.raises(MediafmError, match=said) as raised:
        encode(["one", "two", "three"])

    assert server.url in raised.value.what
    assert len(server.asked) == 1


def test_an_answer_that_holds_the_key_where_numbers_should_be_does_not_show_it(server: EmbeddingsServer) -> None:
    server.faults = [changed(lambda answer: answer["data"][0].update(embedding=[f"key {KEY}"] * 16))]

    with pytest.raises(MediafmError) as raised:
        encode(["one"])

    assert KEY not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("usage", [{"total_tokens": "5"}, {}, None])
def test_an_answer_that_counts_no_tokens_is_good_all_the_same(usage: Any, server: EmbeddingsServer) -> None:
    server.faults = [changed(lambda answer: answer.update(usage=usage))]
    encoder = loaded()

    vectors = encoder.encode(make_shots(["one two three four"]))

    np.testing.assert_allclose(vectors, expected(["one two three four"]), atol=1e-6)
    assert encoder.usage().startswith("5 tokens in 1 request ")  # 18 bytes, four a token


def test_a_long_text_whose_second_request_fails_is_paid_for_once(server: EmbeddingsServer) -> None:
    text = " ".join(f"{n:07d}" for n in range(60_000))  # 480,000 bytes: two requests
    server.faults = [None, failing(503)]
    encoder = loaded(max_retries=0)
    with pytest.raises(UnavailableError):
        encoder.encode(make_shots([text]))

    encoder.encode(make_shots([text]))

    assert len(server.paid_for) == len(set(server.paid_for))


def test_the_hint_about_the_width_is_that_of_the_wrong_vectors(server: EmbeddingsServer) -> None:
    server.faults = [changed(lambda answer: [item.update(embedding=[0.5] * 8) for item in answer["data"]])]

    with pytest.raises(MediafmError, match=r"vectors of 8 numbers instead of 16\. Say --opt dimensions=8"):
        encode(["one", "two"])


def test_a_shuffled_answer_is_put_in_order(server: EmbeddingsServer) -> None:
    server.faults = [changed(lambda answer: answer["data"].reverse())]

    np.testing.assert_allclose(encode(["one", "two", "three"]), expected(["one", "two", "three"]), atol=1e-6)


def test_a_server_that_knows_no_base64_is_understood(server: EmbeddingsServer) -> None:
    def as_numbers(answer: dict[str, Any]) -> None:
        for item in answer["data"]:
            item["embedding"] = embedding_of("one", WIDTH).tolist()

    server.faults = [changed(as_numbers)]

    np.testing.assert_allclose(encode(["one"]), expected(["one"]), atol=1e-6)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "does not accept the key"), (403, "does not accept the key"), (404, "has no embeddings of")],
)
def test_what_no_text_can_get_past_ends_the_run(status: int, said: str, server: EmbeddingsServer) -> None:
    server.faults = [failing(status)]

    with pytest.raises(UnavailableError, match=said):
        encode(["hello"])

    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_named(server: EmbeddingsServer) -> None:
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        encode(["hello"], base_url="http://127.0.0.1:9/v1", max_retries=0)


# --- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_the_variable_is_named_and_an_encoder_that_needs_none(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for value in [key] * (key is not None):
        monkeypatch.setenv("OPENAI_API_KEY", value)

    with pytest.raises(UnavailableError, match=r"OPENAI_API_KEY is not set.*--encoder text\.transformers"):
        TextOpenAI().preflight()


@pytest.mark.parametrize("around", ["\n", " ", "\t\r\n"])
def test_white_space_around_the_key_is_not_part_of_it(
    around: str, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{around}{KEY}{around}")

    np.testing.assert_allclose(encode(["hello"]), expected(["hello"]), atol=1e-6)


@pytest.mark.parametrize("key", ["…", "sk-a\nb", "sk-ä"])
def test_what_cannot_be_a_key_is_refused_before_it_is_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)

    with pytest.raises(UnavailableError, match="Copy the key again") as raised:
        TextOpenAI().preflight()

    assert key not in str(raised.value)


@pytest.mark.parametrize("fault", [401, 400, 429, 500])
def test_a_key_that_the_server_repeats_is_not_shown(fault: int, server: EmbeddingsServer) -> None:
    server.faults = [failing(fault, f"Incorrect API key provided: {KEY}. And sk-proj-Other_Key-99 too.")]

    with pytest.raises(MediafmError) as raised:
        encode(["hello"], max_retries=0)

    assert "[key]" in raised.value.why
    for secret in (KEY, "Other_Key-99"):
        assert secret not in str(raised.value)
    assert raised.value.__suppress_context__


SCRIPT = """
import logging, sys, traceback
from mediafm_cli.api import Shot
from mediafm_cli.encoders.text_openai import TextOpenAI, TextOpenAIOptions
encoder = TextOpenAI(TextOpenAIOptions(max_retries=1))
encoder.load()
print(encoder, vars(encoder), encoder.fingerprint(), encoder.usage())
try:
    encoder.encode([Shot(0, 0.0, 1.0, text="hello")])
except Exception:
    traceback.print_exc()
"""


def test_the_key_is_in_no_line_that_the_client_logs_and_in_no_traceback(server: EmbeddingsServer) -> None:
    server.faults = [failing(500, KEY), failing(401, KEY)]
    environment = {**os.environ, "OPENAI_LOG": "debug"}

    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True)

    assert "Traceback" in done.stderr
    assert "does not accept the key" in done.stderr
    assert len(server.asked) == 2
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@host/v1",
        "https://host/v1?api-key=secret",
        "https://host/v1#key=secret",
        "http://[me:secret",
        "http://host:secret/v1",
        "ftp://secret/",
        "secret",
    ],
)
@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_server_that_carries_a_secret_is_refused_without_showing_it(
    url: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url if by == "variable" else "")
    options = TextOpenAIOptions(base_url=url if by == "option" else None)

    with pytest.raises(UsageError) as raised:
        TextOpenAI(options).fingerprint()

    assert "secret" not in str(raised.value)


# --- what is recorded and what it costs -------------------------------------------------------------------------------


def test_two_servers_are_two_encoders_and_a_closing_slash_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    urls = [None, "https://api.openai.com/v1/", "http://localhost:11434/v1"]

    prints = [TextOpenAI(TextOpenAIOptions(base_url=url)).fingerprint() for url in urls]

    assert prints[0] == prints[1] == {"version": "1", "base_url": "https://api.openai.com/v1"}
    assert prints[2] == {"version": "1", "base_url": "http://localhost:11434/v1"}


def test_usage_tells_the_tokens_that_the_server_counted(server: EmbeddingsServer) -> None:
    encoder = loaded(usd_per_million=0.13)
    assert encoder.usage() == ""

    encoder.encode(make_shots(["one two three", "four"]))
    encoder.encode(make_shots(["five"]))

    assert encoder.usage() == f"5 tokens in 2 requests to {server.url}, about $0.0000 at $0.13 a million"


def test_a_plan_tells_what_would_be_sent_and_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    encoder = TextOpenAI()

    for _ in range(2):  # two titles
        encoder.plan(make_shots(["x" * 4000] * 1000))

    # 8,000,000 bytes, four a token; 75 texts of 4,000 bytes in a request: 14 for each title; $0.13 a million.
    said = "about 2,000,000 tokens (if it is English) in 28 requests to https://api.openai.com/v1, about $0.2600"
    assert encoder.usage() == f"{said} at $0.13 a million"


@pytest.mark.parametrize("options", [{"dimensions": 0}, {"max_retries": -1}, {"timeout_s": 0.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"text\.openai needs"):
        TextOpenAIOptions(**options)


def test_options_hold_no_place_for_a_key() -> None:
    names = set(TextOpenAIOptions.__dataclass_fields__)

    assert not [name for name in names if "key" in name or "token" in name]
    assert json.dumps(TextOpenAIOptions().__dict__)
