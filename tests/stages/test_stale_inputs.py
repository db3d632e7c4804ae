"""What was made from something that changed since, or does not belong together, is refused by its name.

A group is grafted: an old one is put back into a store whose other groups were made anew, as a careless copy would.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediafm_cli.errors import MediafmError, StaleError, StoreError
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import Progress
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import read_contents
from mediafm_cli.synthetic import SyntheticTitle
from mediafm_cli.train.catalogue import open_catalogue

Act = Callable[[], object]
SHOT_BY_SHOT = ("video", "audio", "text")


@dataclass(frozen=True)
class Bench:
    """A film beside its store, which holds every group; another film and its store; and the model of both."""

    film: Path
    metadata: Path
    store: Path
    other_film: Path
    other_store: Path
    model: Path

    def encode(self, modality: str, *options: str, encoder: str | None = None, **arguments: Any) -> object:
        with make_host(modality, encoder, options, preset="offline") as host:
            settings = EncodeSettings(modality, batch_size=2, commit_every_s=0)
            return encode_title(self.store, host, settings, **arguments)

    def encode_half(self, modality: str, encoder: str | None = None) -> None:
        def stop(progress: Progress) -> None:
            if progress.done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.encode(modality, encoder=encoder, overwrite=True, progress=stop)

    def fuse(self) -> object:
        return fuse_title(self.store, overwrite=True)

    def embed(self) -> object:
        return embed_store(self.store, load_model(self.model), model_fingerprint(self.model), EmbedSettings("model"))

    def pretrain(self) -> object:
        """As far as the titles are opened."""
        return open_catalogue([self.other_store, self.store])

    def segment(self, film: Path | None = None, **settings: Any) -> None:
        settings = {"metadata": self.metadata, **settings}
        segment_title(film or self.film, self.store, SegmentSettings(**settings), overwrite=True)

    def graft(self, *places: str, old: Path) -> None:
        """Put groups of ``old`` into the store."""
        groups = read_contents(old).groups
        for place in places:
            update_store(self.store, lambda contents, place=place: contents.with_group(place, groups[place]))

    def copy(self) -> Path:
        """The store as it is now."""
        return Path(shutil.copy(self.store, self.store.with_name("old.h5")))


@pytest.fixture
def bench(stores: list[Path], films: list[SyntheticTitle], model_folder: Path) -> Bench:
    folder = stores[0].parent
    for file in (films[0].path, films[0].subtitles, films[0].metadata):
        shutil.copy(file, folder)
    bench = Bench(
        folder / films[0].path.name,
        folder / films[0].metadata.name,
        stores[0],
        films[1].path,
        stores[1],
        model_folder,
    )
    bench.segment()
    bench.embed()
    return bench


# --- one store: an old group among new ones ---------------------------------------------------------------------------


def shots_of_another_film_under_a_video_encoding(bench: Bench) -> Act:
    old = bench.copy()
    bench.segment(bench.other_film)
    bench.graft("encodings/video", old=old)
    return bench.fuse


def shots_of_another_film_under_half_an_encoding(bench: Bench) -> Act:
    bench.encode_half("audio")
    old = bench.copy()
    bench.segment(bench.other_film)
    bench.graft("encodings/audio", old=old)
    return lambda: bench.encode("audio")


def new_subtitles_under_a_text_encoding(bench: Bench) -> Act:
    old = bench.copy()
    srt = bench.store.with_name("new.srt")
    srt.write_text("1\n00:00:00,100 --> 00:00:00,900\nNobody said this before.\n")
    bench.segment(subtitles=srt)
    bench.graft("encodings/text", old=old)
    return bench.fuse


def new_metadata_under_a_metadata_encoding(bench: Bench) -> Act:
    old = bench.copy()
    bench.metadata.write_text(json.dumps({"synopsis": "It never rained."}))
    bench.segment()
    bench.graft("encodings/metadata", old=old)
    return bench.embed


def new_metadata_under_a_metadata_encoding_made_again(bench: Bench) -> Act:
    new_metadata_under_a_metadata_encoding(bench)
    return lambda: bench.encode("metadata")


def an_encoding_with_other_options_under_fused_vectors(bench: Bench) -> Act:
    old = bench.copy()
    bench.encode("audio", "low_hz=100", overwrite=True)
    bench.fuse()
    bench.graft("fused", old=old)
    return bench.pretrain


def an_encoding_with_other_options_under_embedded_vectors(bench: Bench) -> Act:
    an_encoding_with_other_options_under_fused_vectors(bench)
    return bench.embed


def no_encoding_under_fused_vectors(bench: Bench) -> Act:
    update_store(bench.store, lambda contents: contents.without({"encodings/audio"}))
    return bench.pretrain


def every_encoding_of_another_film(bench: Bench) -> Act:
    bench.graft(*(f"encodings/{modality}" for modality in SHOT_BY_SHOT), "fused", old=bench.other_store)
    return bench.pretrain


def fused_vectors_made_again_under_embeddings(bench: Bench) -> Act:
    old = bench.copy()
    bench.segment(bench.other_film)
    for modality in SHOT_BY_SHOT:
        bench.encode(modality)
    bench.fuse()
    bench.graft("embeddings/model", old=old)
    return bench.embed


def metadata_encoded_again_under_embeddings(bench: Bench) -> Act:
    old = bench.copy()
    bench.metadata.write_text(json.dumps({"synopsis": "It never rained."}))
    bench.segment()
    bench.encode("metadata")
    bench.graft("embeddings/model", old=old)
    return bench.embed


def another_source_under_the_shots(bench: Bench) -> Act:
    shutil.copy(bench.other_film, bench.film.parent)
    bench.graft("source", old=bench.other_store)
    update_store(bench.store, lambda contents: contents.without({"encodings/video"}))
    return lambda: bench.encode("video")


def shots_of_another_film_under_the_source(bench: Bench) -> Act:
    bench.film.with_suffix(".srt").unlink()
    bench.segment()
    silent = Path(shutil.copy(bench.other_film, bench.film.with_name("silent.mp4")))
    segment_title(silent, bench.store.with_name("silent.h5"))
    bench.graft("shots", old=bench.store.with_name("silent.h5"))
    return lambda: segment_title(bench.film, bench.store, SegmentSettings(metadata=bench.metadata))


GRAFTS = {
    shots_of_another_film_under_a_video_encoding: ("encodings/video", "shots/timing"),
    shots_of_another_film_under_half_an_encoding: ("encodings/audio", "shots/timing"),
    new_subtitles_under_a_text_encoding: ("encodings/text", "shots/text"),
    new_metadata_under_a_metadata_encoding: ("encodings/metadata", "source/metadata"),
    new_metadata_under_a_metadata_encoding_made_again: ("encodings/metadata", "source/metadata"),
    an_encoding_with_other_options_under_fused_vectors: ("fused", "encodings/audio"),
    an_encoding_with_other_options_under_embedded_vectors: ("fused", "encodings/audio"),
    no_encoding_under_fused_vectors: ("fused", "encodings/audio"),
    every_encoding_of_another_film: ("encodings/(audio|text|video)", "shots/(timing|text)"),
    fused_vectors_made_again_under_embeddings: ("embeddings/model", "fused"),
    metadata_encoded_again_under_embeddings: ("embeddings/model", "encodings/metadata"),
    another_source_under_the_shots: ("shots", "source/media"),
    shots_of_another_film_under_the_source: ("shots", "source/media"),
}


@pytest.mark.parametrize("graft", GRAFTS, ids=lambda graft: graft.__name__)
def test_a_stale_group_is_refused_by_its_name_and_that_of_what_changed(
    graft: Callable[[Bench], Act], bench: Bench
) -> None:
    place, part = GRAFTS[graft]
    act = graft(bench)
    before = bench.store.read_bytes()

    with pytest.raises(StaleError, match=rf"{place} .*made from .*{part}.*changed since"):
        act()

    assert bench.store.read_bytes() == before


@pytest.mark.parametrize("graft", GRAFTS, ids=lambda graft: graft.__name__)
def test_check_finds_every_stale_group(graft: Callable[[Bench], Act], bench: Bench) -> None:
    place, part = GRAFTS[graft]
    assert check_store(bench.store) == []
    graft(bench)

    faults = " ".join(map(str, check_store(bench.store)))

    assert re.search(rf"{bench.store}: {place} is stale\. It was made from .*{part}", faults)


# --- what does not belong together ------------------------------------------------------------------------------------


def a_film_that_changed_since_it_was_segmented(bench: Bench) -> Act:
    bench.film.write_bytes(bench.film.read_bytes() + b"\0")
    return lambda: bench.encode("video", overwrite=True)


def another_film_under_the_same_name(bench: Bench) -> Act:
    shutil.copy(bench.other_film, bench.film)
    return lambda: segment_title(bench.film, bench.store, SegmentSettings(metadata=bench.metadata))


def half_an_encoding_by_an_encoder_that_changed(bench: Bench) -> Act:
    source = bench.store.with_name("mine.py")
    lines = "from mediafm_cli.encoders.text_hashed import TextHashed\n\nclass Mine(TextHashed):\n    "
    source.write_text(f"{lines}pass\n")
    bench.encode_half("text", f"{source}:Mine")
    source.write_text(f"{lines}fingerprint = lambda self: {{'weights': 'fine-tuned'}}\n")
    return lambda: bench.encode("text", encoder=f"{source}:Mine")


def titles_encoded_with_other_options(bench: Bench) -> Act:
    bench.encode("audio", "low_hz=100", overwrite=True)
    bench.fuse()
    return bench.pretrain


def titles_with_other_blocks(bench: Bench) -> Act:
    fuse_title(bench.store, modalities=["video", "text"], overwrite=True)
    return bench.pretrain


def titles_fused_otherwise(bench: Bench) -> Act:
    fuse_title(bench.store, normalize="per-modality", overwrite=True)
    return bench.pretrain


def titles_with_metadata_encoded_otherwise(bench: Bench) -> Act:
    bench.encode("metadata", "word_ngrams=1", overwrite=True)
    return bench.pretrain


def a_model_of_other_vectors(bench: Bench) -> Act:
    fuse_title(bench.store, modalities=["audio", "video", "text"], overwrite=True)
    return bench.embed


def an_encoding_that_is_not_complete(bench: Bench) -> Act:
    bench.encode_half("text")
    return bench.fuse


MIXTURES: dict[Callable[[Bench], Act], tuple[type[MediafmError], str]] = {
    a_film_that_changed_since_it_was_segmented: (StaleError, "mp4 is not the file that .*h5 was segmented from"),
    another_film_under_the_same_name: (StaleError, "made from .*title_000.mp4, which has changed since"),
    half_an_encoding_by_an_encoder_that_changed: (StaleError, "encodings/text .*Mine has changed since.*fine-tuned"),
    titles_encoded_with_other_options: (StaleError, "not fused like the other titles.*audio was made by audio.logmel"),
    titles_with_other_blocks: (StaleError, "not fused like the other titles.*the blocks are video, text, not video, a"),
    titles_fused_otherwise: (StaleError, "not fused like the other titles.*normalize is per-modality, not none"),
    titles_with_metadata_encoded_otherwise: (StaleError, "not fused like .*metadata was made by text.hashed"),
    a_model_of_other_vectors: (StaleError, "that the model was trained on.*the blocks are audio, video, text, not vi"),
    an_encoding_that_is_not_complete: (StoreError, "encodings/text is not complete"),
}


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: mixture.__name__)
def test_what_does_not_belong_together_is_refused_by_name(mixture: Callable[[Bench], Act], bench: Bench) -> None:
    kind, why = MIXTURES[mixture]
    act = mixture(bench)
    before = bench.store.read_bytes()

    with pytest.raises(kind, match=why) as caught:
        act()

    assert caught.value.hint
    assert bench.store.read_bytes() == before
