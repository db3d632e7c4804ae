"""Many titles through one model: together, each committed by itself, and the bad ones named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from small_titles import make_model, make_store

from mediafm_cli.errors import StoreError, UnavailableError, UsageError
from mediafm_cli.model.context import embed_titles
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.model.title import Title
from mediafm_cli.stages.embed import EmbedSettings, embed_store, embed_stores
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import Embedding
from mediafm_cli.train.catalogue import open_title

SHOTS = {"long": 30, "short": 3, "even": 8, "odd": 11}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_stores(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [make_store(folder, title_id, shots) for title_id, shots in SHOTS.items()]


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    return make_stores(tmp_path / "stores")


@pytest.fixture
def folder(tmp_path: Path, stores: list[Path]) -> Path:
    return make_model(tmp_path / "model", stores[0])


def embed(stores: Sequence[Path], folder: Path, **settings: object) -> list[Outcome]:
    how = EmbedSettings("model", **settings)  # type: ignore[arg-type]
    return [end() for end in embed_stores(stores, load_model(folder), model_fingerprint(folder), how)]


def read_embedding(store: Path) -> Embedding:
    with open_store(store) as found:
        return found.embedding("model")


def load(stores: Sequence[Path]) -> list[Title]:
    return [open_title(store)[1].load() for store in stores]


@pytest.mark.parametrize(("batch_shots", "precision"), [(1, "fp32"), (20, "fp32"), (10_000, "fp32"), (20, "bf16")])
def test_on_a_cpu_neither_the_batch_nor_the_other_titles_change_a_bit(
    batch_shots: int, precision: str, stores: list[Path], folder: Path, tmp_path: Path
) -> None:
    alone = make_stores(tmp_path / "alone")
    for store in alone:
        embed([store], folder, precision=precision)

    outcomes = embed(stores[::-1], folder, batch_shots=batch_shots, precision=precision)

    assert [(outcome.store, outcome.status) for outcome in outcomes] == [(store, "written") for store in stores[::-1]]
    assert [store.read_bytes() for store in stores] == [store.read_bytes() for store in alone]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("batch_shots", [1, 20, 10_000])
def test_on_a_gpu_the_batch_changes_less_than_the_stated_bound(
    batch_shots: int, stores: list[Path], folder: Path
) -> None:
    titles, cpu, gpu = load(stores), load_model(folder), load_model(folder, "cuda")

    pairs = zip(embed_titles(cpu, titles), embed_titles(gpu, titles, batch_shots=batch_shots), strict=True)

    for expected, found in pairs:
        apart = np.linalg.norm(found.shots - expected.shots, axis=1)
        assert (apart <= 1e-4 * np.linalg.norm(expected.shots, axis=1)).all()


def test_bf16_keeps_the_direction_of_each_vector(stores: list[Path], folder: Path) -> None:
    model, titles = load_model(folder), load(stores)

    pairs = list(zip(embed_titles(model, titles), embed_titles(model, titles, precision="bf16"), strict=True))

    for exact, found in pairs:
        lengths = np.linalg.norm(exact.shots, axis=1) * np.linalg.norm(found.shots, axis=1)
        assert ((exact.shots * found.shots).sum(axis=1) / lengths).min() > 0.999
    assert not np.array_equal(pairs[0][0].shots, pairs[0][1].shots)


def test_a_bad_title_stops_no_other_and_is_told_in_its_turn(stores: list[Path], folder: Path) -> None:
    model, fingerprint = load_model(folder), model_fingerprint(folder)
    stores[0].write_bytes(b"This is no store.")
    update_store(stores[2], lambda contents: contents.without({"fused"}))

    ends = list(embed_stores(stores, model, fingerprint, EmbedSettings("model")))

    for bad in (0, 2):
        with pytest.raises(StoreError, match=str(stores[bad])):
            ends[bad]()
    assert [ends[good]().status for good in (1, 3)] == ["written", "written"]
    assert [len(read_embedding(stores[good]).shots) for good in (1, 3)] == [3, 11]


def test_each_title_is_committed_before_the_next_is_asked_for(stores: list[Path], folder: Path) -> None:
    ends = embed_stores(stores, load_model(folder), model_fingerprint(folder), EmbedSettings("model"))

    next(ends)()

    assert len(read_embedding(stores[0]).shots) == 30
    with open_store(stores[1]) as untouched:
        assert "embeddings/model" not in untouched
    ends.close()  # type: ignore[attr-defined]


def test_titles_that_are_done_are_not_run_again(stores: list[Path], folder: Path) -> None:
    embed(stores[:2], folder)
    model, seen = load_model(folder), []
    model.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0].title_ids))

    ends = embed_stores(stores, model, model_fingerprint(folder), EmbedSettings("model"))

    assert [end().status for end in ends] == ["unchanged", "unchanged", "written", "written"]
    assert set(seen) == {"even", "odd"}


def test_settings_that_cannot_be_are_refused_before_any_title(stores: list[Path], folder: Path) -> None:
    with pytest.raises(UsageError, match="A window of 9 shots is not possible"):
        embed_stores(stores, load_model(folder), model_fingerprint(folder), EmbedSettings("model", window=9))


def test_a_gpu_without_room_is_told_with_what_to_change(stores: list[Path], folder: Path) -> None:
    model = load_model(folder)

    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError

    model.register_forward_pre_hook(run_out)

    with pytest.raises(UnavailableError, match=r"no room for 8 shots at once\. Run fewer: --batch-shots 4"):
        embed_store(stores[2], model, model_fingerprint(folder), EmbedSettings("model"))


@pytest.mark.parametrize(("global_token", "expected"), [(True, ["encodings/metadata", "fused"]), (False, ["fused"])])
def test_metadata_is_recorded_where_the_model_reads_it(global_token: bool, expected: list[str], tmp_path: Path) -> None:
    store = make_store(tmp_path, "film", 5, metadata=True)
    folder = make_model(tmp_path / "model", store, global_token=global_token)

    embed([store], folder)

    assert sorted(read_embedding(store).made_from) == expected
