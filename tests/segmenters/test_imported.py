"""The segmenter ``import``: where on a title's frames the cuts of a list fall, and what is kept of them in a store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from imported_cuts import NOTHING, frames_of, import_cuts, steady

from mediafm_cli.api import Boundary, Thumbnail, Title
from mediafm_cli.errors import MediaError, StaleError, UsageError
from mediafm_cli.media.shots import ShotRules
from mediafm_cli.options import describe_options, parse_options
from mediafm_cli.segmenters.imported import ImportSegmenter
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import HARD, SyntheticTitle, write_catalogue

FILM = steady(Fraction(24), 240)
RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)]


@pytest.fixture(scope="module")
def hard_film(tmp_path_factory: pytest.TempPathFactory) -> SyntheticTitle:
    """A film with cuts, dissolves and fades."""
    folder = tmp_path_factory.mktemp("hard")
    (film,) = write_catalogue(folder, titles=1, shots=12, size=(64, 36), seed=5, difficulty=HARD, sound=False)
    return film


# --- where a time falls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_a_frames_time_in_milliseconds_falls_on_that_frame(rate: Fraction, tmp_path: Path) -> None:
    frames = list(range(1, 3000, 7))
    (tmp_path / "cuts.csv").write_text("time_s\n" + "".join(f"{float(frame / rate):.3f}\n" for frame in frames))

    found = import_cuts(tmp_path / "cuts.csv", steady(rate, 3000), frame_rate=rate)

    assert found == [Boundary(frame) for frame in frames]


def test_a_frames_time_in_milliseconds_falls_on_that_frame_where_the_rate_varies(tmp_path: Path) -> None:
    times_s = np.cumsum(np.random.default_rng(1).choice([1 / 60, 1 / 24, 0.1, 2.5], 600)) - 1 / 60
    frames = list(range(1, 600))
    (tmp_path / "cuts.json").write_text(json.dumps([round(times_s[frame], 3) for frame in frames]))

    assert frames_of(import_cuts(tmp_path / "cuts.json", times_s.tolist())) == frames


def test_a_time_between_two_frames_falls_on_the_nearer_and_in_the_middle_on_the_later(tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text("[1.4, 2.5, 3.6]")

    assert frames_of(import_cuts(tmp_path / "cuts.json", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])) == [1, 3, 4]


def test_boundaries_come_as_soon_as_the_frame_after_them(tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text("[10, 20, 200]")
    segmenter = ImportSegmenter(ImportSegmenter.Options(str(tmp_path / "cuts.json")))
    segmenter.begin(Title("film"))
    seen: list[int] = []

    def look() -> Iterator[Thumbnail]:
        for frame in range(240):
            seen.append(frame)
            yield Thumbnail(frame, frame / 24, NOTHING)

    delays = [seen[-1] - boundary.frame for boundary in segmenter.detect(look())]

    assert delays == [1, 1, 1]
    assert len(seen) == 240


# --- both ends of the title -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", ["[0, 50, 100]", "[50, 100, 240]", "[0.0, 2.0833, 4.1667]", "[2.0833, 4.1667, 10.0]"])
def test_the_start_and_the_exact_end_of_the_title_are_no_boundary(cuts: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(cuts)

    assert frames_of(import_cuts(tmp_path / "cuts.json", FILM)) == [50, 100]


def test_the_declared_end_of_the_title_is_no_boundary(tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text("[2.0, 11.5]")

    assert frames_of(import_cuts(tmp_path / "cuts.json", FILM, duration_s=11.52)) == [48]


@pytest.mark.parametrize(
    ("cuts", "where"),
    [
        ("[50, 241]", "Entry 2 lies beyond"),
        ("[50, 240, 241]", "Entry 2 lies beyond"),
        ("[2.0, 10.1]", "Entry 2 lies beyond"),
        ('{"gradual": [{"first": 230, "last": 240}]}', "Gradual entry 1 lies beyond"),
    ],
)
def test_what_lies_beyond_the_end_is_refused(cuts: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(cuts)

    with pytest.raises(MediaError, match=f"{where} the end of the title, which has 240 frames") as caught:
        import_cuts(tmp_path / "cuts.json", FILM, duration_s=10.0)

    assert str(tmp_path / "cuts.json") in caught.value.what
    assert "made from this very file" in caught.value.hint


def test_two_times_on_one_frame_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cuts.csv").write_text("time_s\n1.0\n2.0\n2.01\n")

    with pytest.raises(MediaError, match="Line 4 falls on frame 48, as does line 3"):
        import_cuts(tmp_path / "cuts.csv", FILM)


def test_a_list_of_a_title_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text('{"hard_cuts": [50], "frames": 300}')

    with pytest.raises(MediaError, match="It is of a title of 300 frames, and this one has 240"):
        import_cuts(tmp_path / "cuts.json", FILM)


@pytest.mark.parametrize("count", [0, 1])
def test_titles_of_hardly_any_frames_have_no_boundary(count: int, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text("[0, 1]")

    assert import_cuts(tmp_path / "cuts.json", FILM[:count]) == []


# --- transitions ------------------------------------------------------------------------------------------------------


def test_a_transition_keeps_its_interval_and_ends_a_shot_in_its_middle(tmp_path: Path) -> None:
    gradual = [{"first": 100, "last": 109, "kind": "dissolve"}, {"first": 150, "last": 160}]
    (tmp_path / "cuts.json").write_text(json.dumps({"hard_cuts": [50], "gradual": gradual}))

    assert import_cuts(tmp_path / "cuts.json", FILM) == [
        Boundary(50),
        Boundary(105, "gradual", first=100, last=109),
        Boundary(155, "gradual", first=150, last=160),
    ]


@pytest.mark.parametrize(
    "gradual",
    [
        [{"first": 0, "last": 20}],
        [{"first": 6, "last": 50, "kind": "fade_in_from_black"}],
        [{"first": 220, "last": 239}],
        [{"first": 210, "last": 230, "kind": "fade_out_to_black"}],
    ],
)
def test_fades_that_open_or_close_the_title_are_no_boundary(gradual: list[dict], tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(json.dumps({"hard_cuts": [100], "gradual": gradual}))

    assert import_cuts(tmp_path / "cuts.json", FILM) == [Boundary(100)]


def test_a_fade_in_after_a_cut_to_black_is_a_boundary(tmp_path: Path) -> None:
    gradual = [{"first": 120, "last": 130, "kind": "fade_in_from_black"}]
    (tmp_path / "cuts.json").write_text(json.dumps({"hard_cuts": [100], "gradual": gradual}))

    assert frames_of(import_cuts(tmp_path / "cuts.json", FILM)) == [100, 125]


# --- the option -------------------------------------------------------------------------------------------------------


def test_title_in_the_option_is_the_name_of_the_title(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("frame\n30\n")
    (tmp_path / "two.csv").write_text("frame\n60\n")

    found = [frames_of(import_cuts(tmp_path / "{title}.csv", FILM, name=name)) for name in ("one", "two")]

    assert found == [[30], [60]]


def test_what_stands_for_nothing_in_the_option_is_told_unless_a_file_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\{titel\} stands for nothing. Write \{title\}"):
        import_cuts(tmp_path / "{titel}.csv", FILM)

    (tmp_path / "{titel}.csv").write_text("frame\n30\n")

    assert frames_of(import_cuts(tmp_path / "{titel}.csv", FILM)) == [30]


@pytest.mark.parametrize("form", ["cuts_s", "hard_cuts", "gradual", "clips", "[58, 76]", "[2.5, 4.0]", "start_frame"])
def test_the_option_tells_the_forms_of_a_list(form: str) -> None:
    file, _ = describe_options(ImportSegmenter.Options)

    assert form in file.about


def test_no_list_at_all_is_refused_with_what_to_type() -> None:
    with pytest.raises(UsageError, match="needs a list of cuts") as caught:
        import_cuts("", FILM)

    assert "--opt file=cuts.csv" in caught.value.hint


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="rate is 'fast'; it must be frames a second"):
        parse_options(ImportSegmenter.Options, ["file=cuts.edl", "rate=fast"])


# --- in a store -------------------------------------------------------------------------------------------------------


def test_stored_shots_are_those_of_a_synthetic_films_truth(hard_film: SyntheticTitle, tmp_path: Path) -> None:
    option = f"file={hard_film.path.parent}/{{title}}.truth.json"

    segment_title(hard_film.path, tmp_path / "film.h5", SegmentSettings("import", [option], ShotRules(0.0)))

    with open_store(tmp_path / "film.h5") as store:
        shots, boundaries = store.shots, store.boundaries
    gradual = [row for row, kind in enumerate(boundaries.kind) if kind == "gradual"]
    spans = [(boundaries.first_frame[row], boundaries.last_frame[row]) for row in gradual]
    assert hard_film.transitions
    assert shots.start_frame.tolist() == list(hard_film.start_frame)
    assert shots.end_frame.tolist() == list(hard_film.end_frame)
    assert spans == [(transition.first, transition.last) for transition in hard_film.transitions]
    assert [shots.start_frame[row] for row, kind in enumerate(boundaries.kind) if kind == "cut"] == list(hard_film.cuts)
    sha256 = hashlib.sha256(hard_film.truth.read_bytes()).hexdigest()
    assert dict(shots.fingerprint) == {"version": "1", "sha256": sha256}


def test_a_list_that_changed_makes_the_shots_stale(hard_film: SyntheticTitle, tmp_path: Path) -> None:
    cuts = tmp_path / "cuts.csv"
    settings = SegmentSettings("import", [f"file={cuts}"])
    cuts.write_text("frame\n48\n")
    segment_title(hard_film.path, tmp_path / "film.h5", settings)

    again = segment_title(hard_film.path, tmp_path / "film.h5", settings)
    cuts.write_text("frame\n49\n")

    assert again.status == "unchanged"
    with pytest.raises(StaleError, match=r"segmented with other settings: its sha256"):
        segment_title(hard_film.path, tmp_path / "film.h5", settings)


@pytest.mark.parametrize(
    ("clip", "boundaries"),
    [
        ("bbb_0_30_vp8.webm", [283, 376, 551]),  # its fade-in opens the film; its first frame is shown at 0.003 s
        ("nasa_13013.mp4", [164, 240]),  # a dissolve whose middle is 164, and a cut
        ("fire2_vfr_rot180.mp4", []),
    ],
)
def test_the_checked_cuts_of_real_clips_become_their_shots(
    clip: str, boundaries: list[int], media: Path, tmp_path: Path
) -> None:
    settings = SegmentSettings("import", [f"file={media / 'cuts.json'}"])

    segment_title(media / clip, tmp_path / "clip.h5", settings)

    with open_store(tmp_path / "clip.h5") as store:
        assert store.shots.start_frame.tolist() == [0, *boundaries]
