"""Text that is paid for by the request: kept request by request, said once, and never paid for twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from embeddings_server import KEY, EmbeddingsServer, embedding_of, failing
from encode_runs import InterruptedRunError, interrupt, on_batch, read_encoding

from mediafm_cli.errors import StaleError, UnavailableError
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents, open_store

WIDTH = 16


def say(store: Path, texts: list[str]) -> Path:
    """Give the shots of a store these texts; what was made from others goes."""

    def put(contents: Contents | None) -> Contents:
        assert contents is not None
        made = {place for place in contents.groups if place not in ("source", "shots")}
        shots = replace(contents.groups["shots"], text=np.array(texts, dtype=object))
        return contents.without(made).with_group("shots", shots)

    update_store(store, put)
    return store


def encode(store: Path, **settings: object) -> Outcome:
    options = [f"dimensions={WIDTH}", "max_retries=0"]
    with make_host("text", "text.openai", options, preset="mediafm") as host:
        return encode_title(store, host, EncodeSettings("text"), **settings)


LONG = [" ".join(f"{row}:{word:05d}" for word in range(16_500)) for row in range(6)]
"""148,499 bytes each: two of them fill a request of 300,000 bytes, so a film has three."""


def test_what_shots_say_alike_is_sent_once_and_stored_for_each(stores: list[Path], server: EmbeddingsServer) -> None:
    store = say(stores[0], ["Yes.", "", "[music]", "Yes.", "[music]", "Yes."])

    encode(store)

    assert server.paid_for == ["Yes.", "[music]"]
    found = read_encoding(store, "text")
    assert found.present.tolist() == [True, False, True, True, True, True]
    np.testing.assert_allclose(found.vectors[[0, 3, 5]], [embedding_of("Yes.", WIDTH)] * 3, atol=1e-6)
    np.testing.assert_allclose(found.vectors[[2, 4]], [embedding_of("[music]", WIDTH)] * 2, atol=1e-6)
    assert not found.vectors[1].any()


def test_titles_of_one_run_share_what_they_say(stores: list[Path], server: EmbeddingsServer) -> None:
    texts = ["Previously", "on", "this", "show", "", "."]
    options = [f"dimensions={WIDTH}"]

    with make_host("text", "text.openai", options, preset="mediafm") as host:
        for store in stores:
            encode_title(say(store, texts), host, EncodeSettings("text"))

    assert server.paid_for == ["Previously", "on", "this", "show", "."]


def test_each_request_is_kept_though_a_later_one_fails(stores: list[Path], server: EmbeddingsServer) -> None:
    store = say(stores[0], LONG)
    server.faults = [None, None, failing(401)]

    with pytest.raises(UnavailableError, match="does not accept the key"):
        encode(store)

    assert read_encoding(store, "text").done.tolist() == [True] * 4 + [False] * 2

    assert encode(store).summary.endswith("4 from before")
    assert len(server.answered) == 3
    assert len(server.paid_for) == len(set(server.paid_for))


@pytest.mark.parametrize("requests", [1, 2])
def test_a_run_that_is_stopped_between_requests_pays_for_nothing_twice(
    requests: int, stores: list[Path], server: EmbeddingsServer
) -> None:
    store = say(stores[0], LONG)
    whole = say(stores[1], LONG)
    encode(whole)
    server.answered.clear()

    with pytest.raises(InterruptedRunError):
        encode(store, progress=on_batch(requests + 1, interrupt))
    encode(store)

    # The request whose result was not yet committed when the process ended is the only one that is sent again.
    assert len(server.answered) == 4
    np.testing.assert_array_equal(read_encoding(store, "text").vectors, read_encoding(whole, "text").vectors)


def test_what_was_said_before_the_stop_is_known_after_it(stores: list[Path], server: EmbeddingsServer) -> None:
    store = say(stores[0], [*LONG[:5], LONG[0]])
    server.faults = [None, None, failing(401)]
    with pytest.raises(UnavailableError):
        encode(store)

    encode(store)

    assert " ".join(server.answered[2]["input"]) == LONG[4]
    found = read_encoding(store, "text")
    np.testing.assert_array_equal(found.vectors[5], found.vectors[0])


def test_a_run_with_overwrite_goes_on_too_where_it_was_interrupted(
    stores: list[Path], server: EmbeddingsServer
) -> None:
    store = say(stores[0], LONG)
    server.faults = [None, None, failing(401)]
    with pytest.raises(UnavailableError):
        encode(store, overwrite=True)

    assert encode(store, overwrite=True).summary.endswith("4 from before")

    assert len(server.paid_for) == len(set(server.paid_for))


def test_a_title_that_says_nothing_asks_no_server_and_is_bound_to_one_like_the_others(
    stores: list[Path], server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = say(stores[0], [""] * 6)
    encode(store)
    assert encode(store).status == "unchanged"
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/other")

    with pytest.raises(StaleError, match=r"text\.openai has changed since"):
        encode(store)
    assert encode(store, overwrite=True).status == "written"

    assert read_encoding(store, "text").fingerprint["base_url"].endswith("/other")
    assert server.asked == []


def test_without_a_key_nothing_is_done(stores: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    store = say(stores[0], LONG)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = store.read_bytes()

    with pytest.raises(UnavailableError, match="OPENAI_API_KEY is not set"):
        encode(store)

    assert store.read_bytes() == before


def test_a_dry_run_needs_no_key_and_asks_nobody(
    stores: list[Path], server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = say(stores[0], LONG)
    monkeypatch.delenv("OPENAI_API_KEY")

    with make_host("text", "text.openai", preset="mediafm") as host:
        outcome = encode_title(store, host, EncodeSettings("text"), dry_run=True)
        usage = host.usage()

    assert outcome.status == "planned"
    assert "in 3 requests" in usage
    assert server.asked == []


def test_finished_work_needs_no_key(
    stores: list[Path], server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = say(stores[0], ["Yes."] * 6)
    encode(store)
    monkeypatch.delenv("OPENAI_API_KEY")

    assert encode(store).status == "unchanged"


def test_no_store_holds_the_key(stores: list[Path], server: EmbeddingsServer) -> None:
    store = say(stores[0], ["Yes."] * 6)

    encode(store)

    with open_store(store) as opened:
        assert opened.encoding("text").fingerprint == {"version": "1", "base_url": server.url}
    assert KEY.encode() not in store.read_bytes()
