"""What is gathered from stores, media and a model for a page."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediafm_cli.api import Frames
from mediafm_cli.errors import StaleError, TrainingError, UsageError
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.report.title import Caption, Report, ReportTitle
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.keep import keep_later
from mediafm_cli.stages.report import gather_report, share_shots
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.read import Contents, open_store
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def embedded(stores: list[Path], model_folder: Path) -> list[Path]:
    model, fingerprint = load_model(model_folder), model_fingerprint(model_folder)
    for store in stores:
        embed_store(store, model, fingerprint, EmbedSettings(model_folder.name))
    return stores


def gather(stores: list[Path], films: list[SyntheticTitle], model: Path | None = None, most: int = 100) -> Report:
    return gather_report(stores, model, max_shots=most, media_folder=films[0].path.parent)


def pixels(picture: bytes | None) -> np.ndarray:
    assert picture is not None
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(float)


def test_a_title_is_shown_with_what_its_store_and_media_hold(
    embedded: list[Path], films: list[SyntheticTitle], model_folder: Path
) -> None:
    report = gather(embedded, films, model_folder)

    title = report.titles[0]
    with open_store(embedded[0]) as store:
        np.testing.assert_array_equal(title.fused, store.fused.vectors)
        assert title.context is not None
        np.testing.assert_array_equal(title.context, store.embedding(model_folder.name).shots)
        assert list(title.text) == store.shots.text.tolist()
        assert list(title.energy) == store.fused.energy_share
    assert (title.shots, len(title), len(title.pictures)) == (6, 6, 6)
    assert title.sound is not None
    assert title.sound.high.max() > 0
    assert report.warnings == []
    assert [block.name for block in report.blocks] == ["video", "audio", "text"]


def test_pictures_are_of_the_middle_of_each_shot(stores: list[Path], films: list[SyntheticTitle]) -> None:
    from mediafm_cli.media.frames import sample_frames

    title = gather(stores[:1], films).titles[0]

    with open_store(stores[0]) as store:
        spans, stream = store.shots.spans, store.shots.video_stream
    for picture, (_, frames) in zip(
        title.pictures, sample_frames(films[0].path, spans, Frames(1), stream), strict=True
    ):
        assert frames is not None
        assert pixels(picture).shape == (180, 320, 3)
        whole = np.asarray(Image.fromarray(frames[0]).resize((320, 180))).astype(float)
        assert np.abs(pixels(picture) - whole).mean() < 12


def test_the_model_says_how_it_was_trained_and_on_which_titles(
    embedded: list[Path], films: list[SyntheticTitle], model_folder: Path
) -> None:
    report = gather(embedded, films, model_folder)

    assert report.model is not None
    assert report.model.layer == "output"
    assert [line["step"] for line in report.model.metrics] == [1, 2, 3, 4, 5]
    assert sorted(title.part for title in report.titles) == ["train", "train", "validation"]
    config = json.loads((model_folder / "config.json").read_text())
    assert report.model.facts["Step kept"] == str(config["training"]["steps"])
    assert report.model.facts["Held out"] == "1 title"


def test_media_that_is_gone_is_said_and_kept_frames_take_its_place(
    stores: list[Path], films: list[SyntheticTitle], tmp_path: Path
) -> None:
    with open_store(stores[0]) as store:
        keep_later(films[0].path, stores[0], store.source.fingerprint, store.shots, Frames(3, 64))

    kept, without = gather_report(stores[:2], max_shots=100).titles

    assert all(pixels(picture).shape == (36, 64, 3) for picture in kept.pictures)
    assert "frames kept beside the store" in kept.pictures_note
    assert list(without.pictures) == [None] * 6
    assert without.pictures_note.startswith("No pictures")
    assert without.sound is None
    assert "media file was not found" in without.sound_note


def test_media_that_is_gone_is_a_warning(stores: list[Path]) -> None:
    report = gather_report(stores[:1], max_shots=100)

    assert len(report.warnings) == 1
    assert report.warnings[0].startswith(f"{stores[0]}: The media file of")


def test_kept_frames_that_are_damaged_are_a_warning(stores: list[Path]) -> None:
    stores[0].with_suffix(".frames.zip").write_bytes(b"no archive")

    report = gather_report(stores[:1], max_shots=100)

    assert "holds nothing kept that can be read" in report.warnings[1]
    assert list(report.titles[0].pictures) == [None] * 6


def renewed(contents: Contents, **shots: Any) -> Contents:
    """The same with other fields of the shots, and all that is made from them fresh."""
    contents = contents.with_group("shots", replace(contents.groups["shots"], **shots))
    for place, group in contents.groups.items():
        if place not in ("source", "shots"):
            fresh: Any = replace(group, made_from=parts_sha256(contents, group.made_from))  # type: ignore
            contents = contents.with_group(place, fresh)
    return contents


def gather_made(contents: Contents, folder: Path) -> ReportTitle:
    update_store(folder / "film.h5", lambda _: contents)
    return gather_report([folder / "film.h5"], max_shots=100).titles[0]


def test_a_title_without_sound_says_so(contents: Contents, tmp_path: Path) -> None:
    title = gather_made(renewed(contents, audio_stream=-1), tmp_path)

    assert (title.sound, title.sound_note) == (None, "The title has no sound.")


def test_a_gradual_transition_and_the_captions_are_as_in_the_store(contents: Contents, tmp_path: Path) -> None:
    title = gather_made(contents, tmp_path)

    assert list(title.begins) == ["start", "gradual", "cut", "cut", "cut"]
    assert title.transitions == {1: pytest.approx((1.5 - 1 / 3, 1.5 + 1 / 3))}
    assert title.captions == [Caption(1.6, 2.9, "Guten Tag, Ärger!"), Caption(2.0, 2.5, "[Tür schlägt]", True)]


def test_a_store_of_before_boundaries_and_cues_shows_the_texts_of_its_shots(contents: Contents, tmp_path: Path) -> None:
    title = gather_made(contents.without({"boundaries", "cues"}), tmp_path)

    assert list(title.begins) == [""] * 5
    assert title.captions == [Caption(1.5, 3.0, "Guten Tag, Ärger!")]


def test_a_long_title_shows_its_first_shots_and_a_short_one_all(
    stores: list[Path], films: list[SyntheticTitle]
) -> None:
    report = gather(stores, films, most=9)

    assert [len(title) for title in report.titles] == [3, 3, 3]
    assert [title.shots for title in report.titles] == [6, 6, 6]
    assert len(report.titles[0].fused) == len(report.titles[0].pictures) == 3
    assert all(caption.start_s < report.titles[0].end_s[-1] for caption in report.titles[0].captions)


@pytest.mark.parametrize(
    ("lengths", "most", "shares"),
    [([5, 50, 500], 1000, [5, 50, 500]), ([5, 50, 500], 100, [5, 47, 48]), ([9, 9], 3, [1, 2]), ([4], 4, [4])],
)
def test_shots_are_shared_fairly_between_titles(lengths: list[int], most: int, shares: list[int]) -> None:
    assert share_shots(lengths, most) == shares


def test_more_titles_than_shots_are_refused() -> None:
    with pytest.raises(UsageError, match="3 titles do not fit in a page of 2 shots") as raised:
        share_shots([4, 4, 4], 2)

    assert raised.value.hint == "Add --max-shots 12"


def test_stores_that_this_model_has_not_embedded_are_named_with_the_command(
    stores: list[Path], films: list[SyntheticTitle], model_folder: Path
) -> None:
    with pytest.raises(StaleError, match="has no embeddings by") as raised:
        gather(stores, films, model_folder)

    assert raised.value.hint == f"Make them: mediafm embed {stores[0]} --model {model_folder}"


def test_embeddings_of_two_layers_are_refused(
    embedded: list[Path], films: list[SyntheticTitle], model_folder: Path
) -> None:
    model, fingerprint = load_model(model_folder), model_fingerprint(model_folder)
    settings = EmbedSettings(model_folder.name, layer="hidden")
    embed_store(embedded[0], model, fingerprint, settings, overwrite=True)

    with pytest.raises(StaleError, match="embeddings of two layers"):
        gather(embedded, films, model_folder)


def test_each_shot_has_the_label_of_the_clip_that_covers_most_of_it(
    stores: list[Path], films: list[SyntheticTitle], tmp_path: Path
) -> None:
    with open_store(stores[0]) as store:
        edges = [*store.shots.start_s.tolist(), float(store.shots.end_s[-1])]
    first = 0.9 * edges[1] + 0.1 * edges[2]
    lines = [f"title_000,0,{first},kitchen", f"title_000,{first},{edges[3]},street"]
    (tmp_path / "clips.csv").write_text("\n".join(["title,start_s,end_s,scene", *lines]))

    report = gather_report(stores[:2], max_shots=100, labels=(tmp_path / "clips.csv", "scene"))

    assert [list(title.labels or ()) for title in report.titles] == [
        ["kitchen", "street", "street", "", "", ""],
        [""] * 6,
    ]
    assert report.label == "scene"


def test_a_list_without_the_column_is_refused(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("title,start_s,end_s,scene\ntitle_000,0,1,kitchen")

    with pytest.raises(UsageError, match=r"clips\.csv has no column 'label'"):
        gather_report(stores[:1], max_shots=100, labels=(tmp_path / "clips.csv", "label"))


def test_nothing_is_written_into_the_stores(
    embedded: list[Path], films: list[SyntheticTitle], model_folder: Path, tmp_path: Path
) -> None:
    before = shutil.copy(embedded[0], tmp_path / "before.h5")

    gather(embedded, films, model_folder)

    assert embedded[0].read_bytes() == Path(before).read_bytes()


@pytest.mark.parametrize("written", ["no JSON\n", '{"step": 1}\n', "[1, 2]\n"])
def test_a_record_of_training_that_is_damaged_is_named(
    embedded: list[Path], films: list[SyntheticTitle], model_folder: Path, tmp_path: Path, written: str
) -> None:
    copy = Path(shutil.copytree(model_folder, tmp_path / model_folder.name))
    (copy / "metrics.jsonl").write_text(written)

    with pytest.raises(TrainingError, match=r"metrics\.jsonl is damaged"):
        gather(embedded, films, copy)
