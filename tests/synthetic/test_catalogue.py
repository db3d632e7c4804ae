"""The files of a synthetic catalogue hold what the truth says, as PyAV and pysubs2 read them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pysubs2
import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.synthetic import HARD, Difficulty, SyntheticTitle, write_catalogue

FPS = 24


def decode_frames(path: Path) -> np.ndarray:
    """uint8 [frames, height, width, 3]."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def decode_sound(path: Path) -> tuple[np.ndarray, int]:
    """float32 [samples] and the rate; asserts that it starts at time 0."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    assert frames[0].pts == 0
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].sample_rate


def changes(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame to the one before, in grey levels; 0 for the first."""
    return np.r_[0.0, np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))]


@pytest.fixture(scope="module")
def title(tmp_path_factory: pytest.TempPathFactory) -> SyntheticTitle:
    (title,) = write_catalogue(tmp_path_factory.mktemp("plain"), titles=1, shots=16, seed=4, size=(160, 90))
    return title


@pytest.fixture(scope="module")
def frames(title: SyntheticTitle) -> np.ndarray:
    return decode_frames(title.path)


def test_the_film_has_the_frames_size_and_codecs_it_should(title: SyntheticTitle, frames: np.ndarray) -> None:
    with av.open(str(title.path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == FPS
        assert video.codec_context.name in ("h264", "mpeg4")
        assert audio.codec_context.name == "aac"
    assert frames.shape == (title.end_frame[-1], 90, 160, 3)
    assert title.frames == title.end_frame[-1]


def test_the_picture_changes_most_exactly_at_the_cuts(title: SyntheticTitle, frames: np.ndarray) -> None:
    change = changes(frames)

    largest = np.sort(np.argsort(change)[-len(title.cuts) :])
    assert tuple(largest) == title.cuts
    assert len(title.cuts) == 15
    assert change[list(title.cuts)].min() > 2 * np.delete(change, title.cuts).max()


def test_something_moves_in_every_shot(title: SyntheticTitle, frames: np.ndarray) -> None:
    for start, end in zip(title.start_frame, title.end_frame, strict=True):
        first, last = frames[start].astype(int), frames[end - 1].astype(int)
        assert np.mean(np.abs(first - last) > 40) > 0.01


def test_sound_starts_and_stops_with_its_shot(title: SyntheticTitle) -> None:
    sound, rate = decode_sound(title.path)
    frame = rate // FPS

    assert any(title.silent)
    for start, end, silent in zip(title.start_frame, title.end_frame, title.silent, strict=True):
        # A frame in from each cut, so that one frame of asynchrony would show.
        level = np.sqrt(np.mean(sound[(start + 1) * frame : (end - 1) * frame] ** 2))
        assert (level < 0.003) == silent


def test_sound_comes_in_within_a_frame_of_the_cut(title: SyntheticTitle) -> None:
    sound, rate = decode_sound(title.path)
    frame = rate // FPS

    onsets = [
        (start, np.argmax(np.abs(sound[(start - 12) * frame : (start + 12) * frame]) > 0.02) / frame - 12)
        for start, before, now in zip(title.start_frame[1:], title.silent, title.silent[1:], strict=False)
        if before and not now
    ]
    assert onsets
    for _, late_by_frames in onsets:
        assert abs(late_by_frames) < 1


def test_sound_lasts_as_long_as_the_picture(title: SyntheticTitle) -> None:
    sound, rate = decode_sound(title.path)

    assert title.frames / FPS <= len(sound) / rate < title.frames / FPS + 1024 / rate  # AAC fills its last packet


def test_each_cue_lies_inside_its_spoken_shot(title: SyntheticTitle) -> None:
    assert title.subtitles is not None
    cues = pysubs2.load(str(title.subtitles))

    spoken = [n for n, said in enumerate(title.spoken) if said]
    assert len(cues) == len(spoken) > 0
    for cue, shot in zip(cues, spoken, strict=True):
        assert title.start_frame[shot] / FPS < cue.start / 1000 < cue.end / 1000 < title.end_frame[shot] / FPS
        assert cue.plaintext


def test_the_truth_file_says_the_same_as_the_returned_value(title: SyntheticTitle) -> None:
    truth = json.loads(title.truth.read_text())

    assert truth["frames"] == title.frames
    assert truth["hard_cuts"] == list(title.cuts)
    assert truth["gradual"] == truth["hard_negatives"] == []
    assert [shot["scene"] for shot in truth["shots"]] == list(title.scene)
    assert [shot["camera"] for shot in truth["shots"]] == list(title.camera)


def test_metadata_has_title_synopsis_and_the_scenes_as_tags(title: SyntheticTitle) -> None:
    metadata = json.loads(title.metadata.read_text())
    scene_types = json.loads(title.truth.read_text())["scene_types"]

    assert set(metadata) == {"title", "synopsis", "tags"}
    assert set(metadata["tags"]) == {scene_types[scene] for scene in title.scene}


def test_nothing_but_the_four_files_of_a_title_is_left(title: SyntheticTitle) -> None:
    names = {path.name for path in title.path.parent.iterdir()}

    assert names == {"title_000.mp4", "title_000.srt", "title_000.json", "title_000.truth.json"}


def test_the_same_seed_writes_the_same_truth_sidecars_and_frames(
    title: SyntheticTitle, frames: np.ndarray, tmp_path: Path
) -> None:
    (again,) = write_catalogue(tmp_path, titles=1, shots=16, seed=4, size=(160, 90))

    assert again.truth.read_bytes() == title.truth.read_bytes()
    assert again.metadata.read_bytes() == title.metadata.read_bytes()
    assert again.subtitles is not None
    assert title.subtitles is not None
    assert again.subtitles.read_bytes() == title.subtitles.read_bytes()
    np.testing.assert_array_equal(decode_frames(again.path), frames)
    np.testing.assert_array_equal(decode_sound(again.path)[0], decode_sound(title.path)[0])


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    small = {"titles": 2, "shots": 2, "seed": 9, "size": (64, 36)}

    one = write_catalogue(tmp_path / "one", **small)
    two = write_catalogue(tmp_path / "two", jobs=2, **small)

    for by_one, by_two in zip(one, two, strict=True):
        assert by_one.truth.read_bytes() == by_two.truth.read_bytes()
        np.testing.assert_array_equal(decode_frames(by_one.path), decode_frames(by_two.path))


def test_a_title_without_sound_has_no_audio_stream_and_one_without_subtitles_no_srt(tmp_path: Path) -> None:
    (mute,) = write_catalogue(tmp_path, titles=1, shots=2, seed=1, size=(64, 36), sound=False, subtitles=False)

    with av.open(str(mute.path)) as container:
        assert len(container.streams.audio) == 0
        assert len(container.streams.video) == 1
    assert mute.subtitles is None
    assert not list(tmp_path.glob("*.srt"))


def test_first_adds_titles_of_another_kind_to_a_catalogue(tmp_path: Path) -> None:
    write_catalogue(tmp_path, titles=1, shots=2, seed=1, size=(64, 36))

    (added,) = write_catalogue(tmp_path, titles=1, shots=2, seed=1, size=(64, 36), sound=False, first=1)

    assert added.path.name == "title_001.mp4"
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["title_000.mp4", "title_001.mp4"]


def test_a_range_of_shots_gives_titles_within_it(tmp_path: Path) -> None:
    titles = write_catalogue(tmp_path, titles=4, shots=(1, 3), seed=2, size=(64, 36))

    assert {len(title.scene) for title in titles} <= {1, 2, 3}
    assert len({len(title.scene) for title in titles}) > 1


# --- what makes shots hard to find ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> SyntheticTitle:
    difficulty = Difficulty(dissolves=0.3, fades=0.2, flashes=0.4, occlusions=0.4)
    folder = tmp_path_factory.mktemp("hard")
    (title,) = write_catalogue(folder, titles=1, shots=16, seed=6, size=(160, 90), difficulty=difficulty)
    return title


@pytest.fixture(scope="module")
def hard_frames(hard: SyntheticTitle) -> np.ndarray:
    return decode_frames(hard.path)


def test_a_dissolve_runs_evenly_from_one_shot_to_the_next(hard: SyntheticTitle, hard_frames: np.ndarray) -> None:
    dissolves = [t for t in hard.transitions if t.kind == "dissolve"]

    assert dissolves
    for dissolve in dissolves:
        before, after = (hard_frames[k].astype(float) for k in (dissolve.first - 1, dissolve.last + 1))
        middle = hard_frames[(dissolve.first + dissolve.last) // 2].astype(float)
        apart = np.abs(before - after).mean()
        assert np.abs(middle - (before + after) / 2).mean() < 0.3 * apart  # the rest is motion
        assert changes(hard_frames)[dissolve.first : dissolve.last + 2].max() < 0.3 * apart


def test_a_fade_passes_through_black_at_the_boundary(hard: SyntheticTitle, hard_frames: np.ndarray) -> None:
    fades = [t for t in hard.transitions if t.kind == "fade"]
    light = hard_frames.mean(axis=(1, 2, 3))

    assert fades
    for fade in fades:
        (boundary,) = (start for start in hard.start_frame if fade.first <= start <= fade.last)
        darkest = fade.first + int(np.argmin(light[fade.first : fade.last + 1]))
        assert abs(darkest - boundary) <= 1
        assert light[darkest] < 0.2 * min(light[fade.first - 1], light[fade.last + 1])


def test_a_flash_lights_up_its_frames_and_leaves_the_shot_as_it_was(
    hard: SyntheticTitle, hard_frames: np.ndarray
) -> None:
    flashes = [d for d in json.loads(hard.truth.read_text())["hard_negatives"] if d["kind"] == "flash"]
    light = hard_frames.mean(axis=(1, 2, 3))

    assert flashes
    for flash in flashes:
        assert light[flash["first"] : flash["last"] + 1].min() > light[flash["first"] - 1] + 40
        before, after = (hard_frames[k].astype(float) for k in (flash["first"] - 1, flash["last"] + 1))
        assert np.abs(before - after).mean() < 15


def test_an_occlusion_darkens_the_middle_of_its_span(hard: SyntheticTitle, hard_frames: np.ndarray) -> None:
    occlusions = [d for d in json.loads(hard.truth.read_text())["hard_negatives"] if d["kind"] == "occlusion"]
    light = hard_frames.mean(axis=(1, 2, 3))

    assert occlusions
    for occlusion in occlusions:
        middle = (occlusion["first"] + occlusion["last"]) // 2
        assert light[middle] < 0.7 * light[occlusion["first"] - 1]


def test_hard_cuts_of_a_hard_title_stay_visible(hard: SyntheticTitle, hard_frames: np.ndarray) -> None:
    assert 0 < len(hard.cuts) < 15
    assert changes(hard_frames)[list(hard.cuts)].min() > 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"titles": -1},
        {"shots": 0},
        {"shots": (5, 2)},
        {"size": (161, 90)},
        {"size": (16, 16)},
        {"fps": 0},
        {"shot_s": (0.1, 1.0)},
        {"jobs": 0},
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="synthetic catalogue cannot be made"):
        write_catalogue(tmp_path / "catalogue", **{"titles": 1, "difficulty": HARD, **wrong})

    assert not (tmp_path / "catalogue").exists()
