"""Commands that take a model take one from the hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from typed_commands import Mediafm

from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.store.read import open_store


def test_embed_takes_a_model_from_the_hub_and_names_the_embeddings_for_it(
    mediafm: Mediafm, hub: HubServer, model_folder: Path, stores: list[Path]
) -> None:
    MediaFM.from_pretrained(model_folder).push_to_hub("someone/films", token="hf_test")

    there = mediafm("embed", stores[0], "--model", "hf-hub:someone/films")
    here = mediafm("embed", stores[0], "--model", model_folder)

    assert (there.code, here.code) == (0, 0), there.err
    with open_store(stores[0]) as store:
        fetched, local = store.embedding("films"), store.embedding(model_folder.name)
    assert fetched.model == local.model
    assert np.array_equal(fetched.shots, local.shots)


@pytest.mark.parametrize(
    ("model", "why"), [("hf-hub:someone/none", "the hub has no such"), ("someone/none", "is not a")]
)
def test_a_name_is_looked_for_on_the_hub_only_where_it_says_so(
    mediafm: Mediafm, hub: HubServer, stores: list[Path], model: str, why: str
) -> None:
    typed = mediafm("embed", stores[0], "--model", model)

    assert typed.code == 1
    assert why in typed.err
    assert bool(hub.asked) == model.startswith("hf-hub:")
