"""Edit decision lists and timelines: what OpenTimelineIO and PySceneDetect write and read is the reference."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import opentimelineio as otio
import pytest
from imported_cuts import frames_of, import_cuts, steady
from opentimelineio.opentime import RationalTime, TimeRange, to_timecode
from scenedetect import FrameTimecode
from scenedetect.output import write_scene_list_edl, write_scene_list_otio

from mediafm_cli.api import Boundary
from mediafm_cli.errors import UnavailableError, UsageError

FILM = steady(Fraction(24), 400)
NTSC = Fraction(30000, 1001)
RATES = [Fraction(24), Fraction(25), Fraction(24000, 1001), NTSC]
DISSOLVE = """TITLE: two reels
FCM: NON-DROP FRAME

001  AX       V     C        00:00:00:00 00:00:04:05 01:00:00:00 01:00:04:05
* FROM CLIP NAME: one.mov
002  AX       V     C        00:00:04:05 00:00:04:05 01:00:04:05 01:00:04:05
002  BX       V     D    024 00:00:10:00 00:00:15:00 01:00:04:05 01:00:09:05
003  CX       AA/V  C        00:00:00:00 00:00:02:00 01:00:09:05 01:00:11:05
"""


def make_clip(length: float, rate: float = 24.0, start: float = 0.0) -> otio.schema.Clip:
    return otio.schema.Clip("clip", source_range=TimeRange(RationalTime(start, rate), RationalTime(length, rate)))


def make_gap(length: float) -> otio.schema.Gap:
    return otio.schema.Gap(duration=RationalTime(length, 24))


def make_transition(before: float, after: float, rate: float = 24.0) -> otio.schema.Transition:
    offsets = {"in_offset": RationalTime(before, rate), "out_offset": RationalTime(after, rate)}
    return otio.schema.Transition(transition_type="SMPTE_Dissolve", **offsets)


def make_track(*items: otio.core.Composable, trimmed: TimeRange | None = None) -> otio.schema.Track:
    track = otio.schema.Track(kind="Video", source_range=trimmed)
    track.extend(items)
    return track


def write_timeline(path: Path, *tracks: otio.schema.Track) -> otio.schema.Timeline:
    timeline = otio.schema.Timeline()
    timeline.tracks.extend(tracks)
    timeline.to_json_file(str(path))
    return timeline


def clip_starts(track: otio.schema.Track) -> list[int]:
    """Where OpenTimelineIO says that each clip after the first starts, in frames."""
    starts = [round(track.range_of_child(clip).start_time.value) for clip in track.find_clips()]
    return starts[1:]


# --- edit decision lists ----------------------------------------------------------------------------------------------


def test_the_list_that_pyscenedetect_writes_is_refused_because_it_misses_the_frame(tmp_path: Path) -> None:
    rate = Fraction(25)
    edges = [FrameTimecode(frame, rate) for frame in (0, 29, 1000)]  # 29 becomes 00:00:01:03 in version 0.7.2
    write_scene_list_edl(str(tmp_path / "cuts.edl"), list(pairwise(edges)))

    with pytest.raises(UsageError, match="PySceneDetect's time codes in this format miss the frame") as caught:
        import_cuts(tmp_path / "cuts.edl", steady(rate, 1000), frame_rate=rate)

    assert "list-scenes writes .csv" in caught.value.hint


@pytest.mark.parametrize("rate", RATES)
def test_the_list_that_opentimelineio_writes_is_read(rate: Fraction, tmp_path: Path) -> None:
    timeline = otio.schema.Timeline(global_start_time=RationalTime(100, float(rate)))
    timeline.tracks.append(make_track(*(make_clip(length, float(rate), 7) for length in (31, 2, 90, 1, 60))))
    text = otio.adapters.write_to_string(timeline, "cmx_3600", rate=float(rate))
    (tmp_path / "cuts.edl").write_text(text)

    found = import_cuts(tmp_path / "cuts.edl", steady(rate, 184), frame_rate=rate)

    assert frames_of(found) == clip_starts(timeline.tracks[0]) == [31, 33, 123, 124]


def test_a_dissolve_is_a_transition_over_its_first_frames(tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE)
    track = otio.adapters.read_from_string(DISSOLVE, "cmx_3600", rate=24).tracks[0]
    first, third = clip_starts(track)

    found = import_cuts(tmp_path / "cuts.edl", FILM)

    assert (first, third) == (101, 221)
    assert found == [Boundary(113, "gradual", first=101, last=124), Boundary(221)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("002  AX       V     C        00:00:04:05 00:00:04:05 01:00:04:05 01:00:04:05\n", ""),  # no outgoing line
        ("TITLE:", "* a comment before all\nTITLE:"),
        ("00:00:10:00 00:00:15:00", "00:00:10:00 00:00:20:00"),  # the source runs at double speed
        ("* FROM CLIP NAME: one.mov", "M2   AX             048.0                00:00:00:00"),
        ("D    024", "W001 024"),
        ("003  CX", "003  BX  A  C  00:00:00:00 00:00:07:00 01:00:02:00 01:00:09:00\n003  CX"),  # sound alone
    ],
)
def test_what_lists_of_the_field_vary_in_changes_nothing(before: str, after: str, tmp_path: Path) -> None:
    assert before in DISSOLVE
    (tmp_path / "cuts.edl").write_text(DISSOLVE.replace(before, after))

    found = import_cuts(tmp_path / "cuts.edl", FILM)

    assert found == [Boundary(113, "gradual", first=101, last=124), Boundary(221)]


def test_a_fade_from_black_opens_the_title(tmp_path: Path) -> None:
    faded = DISSOLVE.replace(
        "001  AX       V     C        00:00:00:00",
        "001  BL       V     C        00:00:00:00 00:00:00:00 01:00:00:00 01:00:00:00\n001  AX V D 020 00:00:00:00",
    )
    (tmp_path / "cuts.edl").write_text(faded)

    assert frames_of(import_cuts(tmp_path / "cuts.edl", FILM)) == [113, 221]


def test_where_nothing_is_recorded_is_a_shot(tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE.replace("01:00:09:05 01:00:11:05", "01:00:10:05 01:00:12:05"))

    assert frames_of(import_cuts(tmp_path / "cuts.edl", FILM)) == [113, 221, 245]


def test_ends_that_name_the_last_frame_leave_no_gap(tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE.replace("01:00:00:00 01:00:04:05", "01:00:00:00 01:00:04:04"))

    assert frames_of(import_cuts(tmp_path / "cuts.edl", FILM)) == [113, 221]


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("FCM: DROP FRAME", ";", ";"),
        ("FCM: DROP FRAME", ";", ":"),
        ("FCM:DROP FRAME", ";", ":"),
        ("fcm: drop frame", ";", ":"),
        ("FCM: NON-DROP FRAME", ":", ";"),
    ],
)
def test_drop_frames_are_counted_as_opentimelineio_counts_them(
    mode: str, before: str, after: str, tmp_path: Path
) -> None:
    frames = [0, 1799, 1800, 3597, 17_982]
    codes = [to_timecode(RationalTime(frame + 107_892, float(NTSC)), float(NTSC), drop_frame=True) for frame in frames]
    lines = [
        f"{number:03}  AX  V  C  {start} {end} {start} {end}" for number, (start, end) in enumerate(pairwise(codes), 1)
    ]
    (tmp_path / "cuts.edl").write_text(f"{mode}\n" + "\n".join(lines).replace(before, after))

    found = import_cuts(tmp_path / "cuts.edl", steady(NTSC, 17_982), frame_rate=NTSC)

    assert codes[0] == "01:00:00;00"
    assert frames_of(found) == frames[1:-1]


def test_the_first_event_is_the_first_frame_of_a_title_that_starts_late(tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE)

    assert frames_of(import_cuts(tmp_path / "cuts.edl", [0.7 + time_s for time_s in FILM])) == [113, 221]


def test_the_rate_of_the_option_goes_before_that_of_the_title(tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE)

    found = import_cuts(tmp_path / "cuts.edl", steady(Fraction(48), 800), frame_rate=Fraction(48), rate="24")

    assert found[1] == Boundary(442)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("D    024", "D    121", "Line 7: its transition of 121 frames is longer than the event"),
        ("D    024", "D", "Line 7: its transition has no length. Write it in frames, such as D 024."),
        ("D    024", "KB   024", "Line 7: it is no cut, dissolve or wipe with four time codes"),
        ("01:00:09:05 01:00:11:05", "01:00:09:05", "Line 8: it is no cut, dissolve or wipe with four time codes"),
        ("01:00:11:05", "9" * 5000 + ":00:11:05", "Line 8: it is no cut, dissolve or wipe with four time codes"),
        ("01:00:09:05 01:00:11:05", "01:00:09:04 01:00:11:05", "Line 8: it starts before the event above it ends"),
        ("01:00:09:05 01:00:11:05", "01:00:09:05 01:00:09:04", "Line 8: it ends before it starts on the record side"),
        ("01:00:09:05 01:00:11:05", "01:00:09:24 01:00:11:05", "Line 8: 01:00:09:24 counts to frame 24"),
        ("01:00:09:05 01:00:11:05", "01:00:09;05 01:00:11;05", "Line 8: 01:00:09;05 counts drop frames"),
        (DISSOLVE, "TITLE: nothing\n", "It holds no event with pictures. Check that it is a CMX 3600 list."),
    ],
)
def test_what_is_no_event_is_told_where(before: str, after: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE.replace(before, after))

    with pytest.raises(UsageError) as caught:
        import_cuts(tmp_path / "cuts.edl", FILM)

    assert why in str(caught.value)


@pytest.mark.parametrize("frame_rate", [None, Fraction(21, 2)])
def test_a_list_needs_a_rate_that_time_codes_count(frame_rate: Fraction | None, tmp_path: Path) -> None:
    (tmp_path / "cuts.edl").write_text(DISSOLVE)

    with pytest.raises(UsageError, match=r"Line 4: .*with --opt rate|Line 4: .*give --opt rate=24"):
        import_cuts(tmp_path / "cuts.edl", FILM, frame_rate=frame_rate)


# --- timelines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_the_timeline_that_pyscenedetect_writes_is_read(rate: Fraction, tmp_path: Path) -> None:
    cuts = list(range(9, 3000, 101))
    edges = [FrameTimecode(frame, rate) for frame in (0, *cuts, 3000)]
    film = list(pairwise(edges))
    write_scene_list_otio(str(tmp_path / "cuts.otio"), film, tmp_path / "film.mp4", rate)

    found = import_cuts(tmp_path / "cuts.otio", steady(rate, 3000), frame_rate=rate)

    assert frames_of(found) == cuts


def test_clips_gaps_and_transitions_begin_where_opentimelineio_says(tmp_path: Path) -> None:
    items: Sequence[otio.core.Composable] = [
        make_transition(0, 10),
        make_clip(50),
        make_transition(6, 6),
        make_clip(60, start=500),
        make_gap(20),
        make_clip(48, rate=12.0),  # 96 frames of the film
        make_transition(12, 12),
    ]
    track = make_track(*items)
    write_timeline(tmp_path / "cuts.otio", otio.schema.Track(kind="Audio", children=[make_clip(226)]), track)

    found = import_cuts(tmp_path / "cuts.otio", FILM[:226])

    starts = [track.range_of_child(item).start_time.rescaled_to(24).value for item in (items[3], items[4], items[5])]
    assert starts == [50, 110, 130]
    assert found == [Boundary(50, "gradual", first=44, last=55), Boundary(110), Boundary(130)]


def test_of_several_tracks_counts_what_is_seen(tmp_path: Path) -> None:
    below = make_track(make_clip(100), make_clip(100))
    above = make_track(make_gap(90), make_clip(30))
    hidden = make_track(make_clip(33))
    hidden.enabled = False
    write_timeline(tmp_path / "cuts.otio", below, above, hidden)

    assert frames_of(import_cuts(tmp_path / "cuts.otio", FILM[:200])) == [90, 120]


def test_gaps_in_a_row_are_one_and_divide_nothing_below_them(tmp_path: Path) -> None:
    below = make_track(make_clip(100), make_gap(30), make_gap(30), make_clip(40))
    above = make_track(make_gap(30), make_gap(30), make_clip(30), make_gap(10), make_gap(5))
    write_timeline(tmp_path / "cuts.otio", below, above)

    assert frames_of(import_cuts(tmp_path / "cuts.otio", FILM[:200])) == [60, 90, 100, 160]


def test_what_is_disabled_is_a_gap(tmp_path: Path) -> None:
    unseen, unseen_above = make_clip(20), make_clip(40)
    stack = otio.schema.Stack(children=[make_track(make_clip(20), make_clip(20))])
    unseen.enabled = unseen_above.enabled = stack.enabled = False
    write_timeline(
        tmp_path / "cuts.otio", make_track(make_clip(50), unseen, make_clip(30), stack), make_track(unseen_above)
    )

    assert frames_of(import_cuts(tmp_path / "cuts.otio", FILM[:140])) == [50, 70, 100]


def test_a_clip_may_lie_in_a_stack_by_itself(tmp_path: Path) -> None:
    stack = otio.schema.Stack(children=[make_clip(40)])
    write_timeline(tmp_path / "cuts.otio", make_track(make_clip(50), stack, make_clip(10)))

    assert frames_of(import_cuts(tmp_path / "cuts.otio", FILM[:100])) == [50, 90]


def test_clips_inside_nested_tracks_and_stacks_count(tmp_path: Path) -> None:
    inner = make_track(
        make_clip(10), make_clip(20), make_clip(30), trimmed=TimeRange(RationalTime(5, 24), RationalTime(40, 24))
    )
    stack = otio.schema.Stack(children=[make_track(make_clip(12), make_clip(12))])
    stack.source_range = TimeRange(RationalTime(2, 24), RationalTime(20, 24))
    write_timeline(tmp_path / "cuts.otio", make_track(make_clip(50), inner, stack, make_clip(9)))

    # 50, then 10 - 5 and 20 frames of the track, of which 40 are shown; then 12 - 2 of the stack, of which 20 are.
    assert frames_of(import_cuts(tmp_path / "cuts.otio", FILM[:119])) == [50, 55, 75, 90, 100, 110]


def test_a_timeline_at_24_of_a_film_at_23_976_has_to_say_what_it_counts(tmp_path: Path) -> None:
    write_timeline(tmp_path / "cuts.otio", make_track(make_clip(24_000), make_clip(24_000), make_clip(24_000)))
    film = {"times_s": steady(Fraction(24000, 1001), 72_000), "frame_rate": Fraction(24000, 1001)}

    with pytest.raises(UsageError, match=r"counts 24\.000 frames a second and the title has 23\.976") as caught:
        import_cuts(tmp_path / "cuts.otio", **film)

    assert "say --opt rate=24000/1001 where its frames are the title's, --opt rate=24 where its times" in str(
        caught.value
    )
    assert frames_of(import_cuts(tmp_path / "cuts.otio", **film, rate="24000/1001")) == [24_000, 48_000]
    assert frames_of(import_cuts(tmp_path / "cuts.otio", **film, rate="24")) == [23_976, 47_952]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Line 1: it is not valid JSON"),
        ("{}", "It is no timeline that can be read ("),
        ('{"OTIO_SCHEMA": "Clip.2"}', "It is no timeline that can be read ("),
        (otio.schema.Clip("clip").to_json_string(), "(it holds a Clip, not a Timeline)"),
        (otio.schema.Timeline().to_json_string(), "(it has no video track)"),
        (
            '{"OTIO_SCHEMA": "Timeline.1", "a": ' + "[" * 200_000 + "]" * 200_000 + "}",
            "nests more than 200 levels deep",
        ),
    ],
)
def test_what_is_no_timeline_is_told(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.otio").write_text(text)

    with pytest.raises(UsageError) as caught:
        import_cuts(tmp_path / "cuts.otio", FILM)

    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (otio.schema.Clip("no length"), "It is no timeline that can be read ("),
        (make_clip(-5), "an item is shorter than nothing"),
        (make_clip(5, rate=0.0), "0.0 frames a second is no frame rate"),
        (make_clip(float("nan")), "It is no timeline that can be read (|NaN is not a JSON number"),
    ],
)
def test_clips_of_no_length_are_refused(item: otio.schema.Clip, why: str, tmp_path: Path) -> None:
    write_timeline(tmp_path / "cuts.otio", make_track(make_clip(5), item.deepcopy()))

    with pytest.raises(UsageError) as caught:
        import_cuts(tmp_path / "cuts.otio", FILM)

    assert any(part in str(caught.value) for part in why.split("|"))


def test_timelines_name_the_library_that_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_timeline(tmp_path / "cuts.otio", make_track(make_clip(5)))
    monkeypatch.setitem(sys.modules, "opentimelineio", None)

    with pytest.raises(UnavailableError, match="which is not installed") as caught:
        import_cuts(tmp_path / "cuts.otio", FILM)

    assert caught.value.hint == "Install it with: pip install 'mediafm-cli[otio]'"
