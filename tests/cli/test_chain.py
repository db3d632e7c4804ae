"""All stages after one another, typed one by one and at once; again; and without doing it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from embeddings_server import EmbeddingsServer
from typed_commands import Mediafm

from mediafm_cli.errors import MediaError
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import EncoderHost
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

STEPS = 3


def read_files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, but for how fast it was trained."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: re.sub(rb', "speed": {[^}]*}', b"", content) for name, content in files.items()}


@pytest.fixture(scope="module")
def media_folder(films: list[SyntheticTitle]) -> Path:
    return films[0].path.parent


@pytest.fixture
def ran(mediafm: Mediafm, media_folder: Path, tmp_path: Path) -> Path:
    """A folder of stores, with the model in it, that ``run`` made."""
    typed = mediafm("run", media_folder, "-o", tmp_path / "ran", "--preset", "offline", "--max-steps", STEPS)
    assert typed.code == 0, typed.err
    return tmp_path / "ran"


def test_run_makes_what_the_commands_make_one_by_one(
    ran: Path, mediafm: Mediafm, media_folder: Path, tmp_path: Path
) -> None:
    typed = tmp_path / "typed"
    commands = [
        ["segment", media_folder, "-o", typed],
        *(["encode", typed, "--modality", modality] for modality in ("video", "audio", "text")),
        ["fuse", typed],
        ["pretrain", typed, "-o", typed / "model", "--max-steps", STEPS],
        ["embed", typed, "--model", typed / "model"],
    ]

    codes = [mediafm(*words).code for words in commands]

    assert codes == [0] * len(commands)
    assert read_files(typed) == read_files(ran)


def test_run_encodes_metadata_where_there_is_any(
    ran: Path, mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    metadata = films[0].metadata
    typed = mediafm("run", films[0].path, "-o", told, "--preset", "offline", "--max-steps", 1, "--metadata", metadata)

    assert typed.code == 0, typed.err
    places = [places_of(folder / f"{films[0].path.stem}.h5") for folder in (ran, told)]
    assert ["encodings/metadata" in found for found in places] == [False, True]


def test_run_takes_the_subtitles_of_the_language_and_encoding_that_are_named(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    film = Path(shutil.copy(films[0].path, tmp_path / "film.mp4"))
    cue = "1\n00:00:00,100 --> 00:00:00,900\n"
    (tmp_path / "film.en.srt").write_text(f"{cue}It snows.\n")
    (tmp_path / "film.ru.srt").write_bytes(f"{cue}Идёт снег.\n".encode("cp1251"))
    words = ["--language", "ru", "--subtitle-encoding", "cp1251"]

    typed = mediafm("run", film, "-o", tmp_path / "ran", "--preset", "offline", "--max-steps", 1, *words)

    assert typed.code == 0, typed.err
    with open_store(tmp_path / "ran" / "film.h5") as store:
        assert store.cues.text.tolist() == ["Идёт снег."]


def places_of(path: Path) -> tuple[str, ...]:
    with open_store(path) as store:
        return store.places


def test_run_asks_for_the_device_before_anything_is_done(mediafm: Mediafm, media_folder: Path, tmp_path: Path) -> None:
    typed = mediafm("run", media_folder, "-o", tmp_path / "ran", "--preset", "offline", "--device", "cuda:99")

    assert typed.code == 2
    assert "There is no device 'cuda:99'." in typed.err
    assert not list(tmp_path.rglob("*.h5"))


def test_run_again_changes_nothing_and_says_so(ran: Path, mediafm: Mediafm, media_folder: Path) -> None:
    before = read_files(ran)

    again = mediafm("run", media_folder, "-o", ran, "--max-steps", STEPS)

    assert again.code == 0
    assert again.out.splitlines() == sorted(str(path) for path in ran.glob("*.h5"))
    assert "pretrain" in again.err
    assert "written" not in again.err
    assert read_files(ran) == before


@pytest.mark.parametrize(
    ("words", "how"), [((), "the same command goes on"), (("--overwrite",), "the same command without --overwrite")]
)
def test_run_that_is_interrupted_in_training_names_no_option_that_it_has_not(
    words: tuple[str, ...],
    how: str,
    mediafm: Mediafm,
    media_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mediafm_cli.train.loop.pretrain", interrupt)

    typed = mediafm("run", media_folder, "-o", tmp_path / "ran", "--preset", "offline", *words)

    assert typed.code == 130
    assert f"pretrain {tmp_path}/ran/model: interrupted; {how}" in typed.err
    assert "--resume" not in typed.err


def test_a_dry_run_of_each_stage_changes_nothing(
    mediafm: Mediafm, films: list[SyntheticTitle], stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    media = ["--media", films[0].path.parent, "--overwrite"]
    commands = [
        ["segment", films[0].path, "-o", tmp_path / "planned"],
        ["encode", *stores, "--modality", "video", *media],
        ["fuse", *stores, "--normalize", "per-modality", "--overwrite"],
        ["pretrain", *stores, "-o", tmp_path / "planned-model"],
        ["embed", *stores, "--model", model_folder],
    ]
    before = read_files(tmp_path)

    typed = [mediafm(*words, "--dry-run") for words in commands]

    assert [(one.code, one.err != "") for one in typed] == [(0, True)] * len(commands)
    assert read_files(tmp_path) == before


def test_a_dry_run_finds_what_would_fail(mediafm: Mediafm, stores: list[Path], model_folder: Path) -> None:
    typed = mediafm("fuse", *stores, "--normalize", "per-modality", "--dry-run")

    assert typed.code == 5


def test_ablate_writes_a_table_for_programs_and_one_for_people(
    mediafm: Mediafm, stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    words = ["ablate", *stores, "--model", model_folder, "-o", tmp_path / "ablation"]

    shown, rows = mediafm(*words), mediafm(*words, "--json")

    records = [json.loads(line) for line in rows.out.splitlines()]
    names = [record["name"] for record in records if record["schema"] == "mediafm.ablation.row"]
    with open(tmp_path / "ablation" / "results.csv", newline="") as file:
        assert [row["row"] for row in csv.DictReader(file)] == names
    assert names[:4] == ["video flat", "audio flat", "text flat", "all flat"]
    assert {"window mean ±2", "untrained", "trained", "trained, text zeroed"} <= set(names)
    assert all(any(line.startswith(name) for line in shown.out.splitlines()) for name in names)
    assert (tmp_path / "ablation" / "results.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert f"ablate: wrote {tmp_path / 'ablation' / 'results.json'}" in shown.err


def test_the_demo_makes_everything_it_names_and_can_be_run_again(mediafm: Mediafm, tmp_path: Path) -> None:
    words = ["demo", "-o", tmp_path / "demo", "--titles", 3, "--shots", 4, "--max-steps", STEPS]

    first = mediafm(*words)
    made = read_files(tmp_path / "demo" / "stores")
    second = mediafm(*words)

    assert first.code == second.code == 0, first.err
    named = [Path(line.split()[-1]) for line in first.out.partition("What was made:")[2].splitlines() if line]
    assert [path.name for path in named] == ["media", "stores", "model", "results.json", "results.png"]
    assert all(path.exists() for path in named)
    assert second.out == first.out
    assert read_files(tmp_path / "demo" / "stores") == made
    assert "by chance" in first.out


def test_a_title_of_one_shot_is_counted_as_one(mediafm: Mediafm, media_folder: Path, tmp_path: Path) -> None:
    film = sorted(media_folder.glob("*.mp4"))[0]
    mediafm("segment", film, "-o", tmp_path, "--segmenter", "fixed", "--opt", "every_s=600")
    mediafm("encode", tmp_path, "--modality", "audio", "--preset", "offline")
    mediafm("fuse", tmp_path)
    mediafm(
        "pretrain", tmp_path, "-o", tmp_path / "model", "--max-steps", 1, "--hidden", 16, "--layers", 1, "--heads", 1
    )

    embedded = mediafm("embed", tmp_path, "--model", tmp_path / "model")

    assert ": written: 1 shot, " in embedded.err


def test_run_demuxes_each_film_once(
    mediafm: Mediafm, media_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"the film is read again: {arguments}")

    monkeypatch.setattr("mediafm_cli.media.audio.iterate_packets", refuse)
    monkeypatch.setattr("mediafm_cli.stages.material.sample_frames", refuse)

    typed = mediafm("run", media_folder, "-o", tmp_path / "ran", "--preset", "offline", "--max-steps", STEPS)

    assert typed.code == 0, typed.err
    assert list((tmp_path / "ran").glob("*.zip")) == []


def test_run_goes_on_without_the_films_that_fail_and_names_them(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.mp4").write_text("no film")
    silent = tmp_path / "ran" / f"{films[0].path.stem}.h5"

    def encode(path: Path, host: EncoderHost, settings: EncodeSettings, **named: Any) -> Outcome:
        if (path, settings.modality) == (silent, "text"):
            raise MediaError("It cannot be encoded.")
        return encode_title(path, host, settings, **named)

    monkeypatch.setattr("mediafm_cli.stages.encode.encode_title", encode)
    media = [tmp_path / "bad.mp4", *(film.path for film in films)]

    typed = mediafm("run", *media, "-o", tmp_path / "ran", "--preset", "offline", "--max-steps", STEPS)

    others = [tmp_path / "ran" / f"{film.path.stem}.h5" for film in films[1:]]
    assert typed.code == 3
    assert typed.out.splitlines() == [str(store) for store in others]
    for store in others:
        with open_store(store) as opened:
            assert "embeddings/model" in opened
    told = f"error: 2 of {len(media)} titles failed: {tmp_path / 'bad.mp4'}, {silent}.\n  The others are done.\n"
    assert typed.err.endswith(told)


def test_run_fails_a_title_with_a_damaged_store_alone(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    damaged, *others = [tmp_path / "ran" / f"{film.path.stem}.h5" for film in films]
    damaged.parent.mkdir()
    damaged.write_bytes(b"no store")
    words = ["run", *(film.path for film in films), "-o", tmp_path / "ran", "--max-steps", STEPS]

    first, again = mediafm(*words), mediafm(*words)

    for typed in (first, again):
        assert typed.code == 3
        assert typed.out.splitlines() == [str(store) for store in others]
        assert typed.err.count("is not a store") == 1
        assert f"1 of 3 titles failed: {films[0].path}." in typed.err
    assert damaged.read_bytes() == b"no store"


def test_encode_fails_a_damaged_store_alone_though_it_asks_beforehand_for_what_the_encoder_lacks(
    mediafm: Mediafm, server: EmbeddingsServer, stores: list[Path]
) -> None:
    stores[0].write_bytes(b"no store")

    typed = mediafm("encode", *stores, "--modality", "text", "--encoder", "text.openai", "--overwrite")

    assert typed.code == 3
    assert typed.out.splitlines() == [str(store) for store in stores[1:]]


def test_a_folder_of_media_files_that_is_none_is_refused_before_any_title(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    missing, file = tmp_path / "missing", tmp_path / "file"
    for folder, what in ((missing, f"There is no folder {missing}"), (file, f"{file} is a file")):
        typed = mediafm("encode", *stores, "--modality", "video", "--media", folder)

        assert (typed.code, typed.out) == (2, "")
        assert typed.err.count("error:") == 1
        assert f"error: {what}.\n  → Name the folder of the media files" in typed.err


def test_no_kept_frames_are_left_where_encoding_fails(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise MediaError("It cannot be encoded.")

    monkeypatch.setattr("mediafm_cli.stages.encode.encode_title", fail)

    typed = mediafm("run", films[0].path, "-o", tmp_path / "stores", "--preset", "offline")

    assert typed.code == 1
    assert [path.name for path in (tmp_path / "stores").iterdir()] == [f"{films[0].path.stem}.h5"]
