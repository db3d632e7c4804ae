"""Sound from packets that were kept while the pictures were read: to the bit the sound that the file gives."""

from __future__ import annotations

import itertools
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from media_clips import cut_bytes, panning_pictures, write_film, write_sound

from mediafm_cli.errors import MediaError
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import iterate_packets
from mediafm_cli.media.kept import KeptFrom, KeptWriter, kept_path, open_kept
from mediafm_cli.media.kept_sound import KeptSound, SoundWriter, open_kept_sound
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.segmenters.fixed import FixedSegmenter

RATE = 16_000
MEDIA = "ab" * 32
SPANS_S = [(1.37 * number, 1.37 * (number + 1)) for number in range(25)]


def keep_sound(media: Path, index: int, store: Path) -> KeptSound:
    """Keep the packets of one stream: from the pass over the pictures, or from one of its own where there are none."""
    with KeptWriter(kept_path(store), KeptFrom(MEDIA, 0, 1, audio_stream=index)) as archive:
        sound = SoundWriter(archive)
        with open_media(media) as container:
            has_pictures = bool(container.streams.video)
            packets = [] if has_pictures else iterate_packets(container, [container.streams[index]], lambda: None)
            for packet in packets:
                sound.take(packet)
        if has_pictures:
            cut_into_shots(media, FixedSegmenter(), listen={index: sound.take})
        sound.finish()
        archive.commit()
    kept = open_kept_sound(store, MEDIA, index)
    assert kept is not None
    return kept


def assert_heard_alike(media: Path, index: int, store: Path, spans_s: Sequence[tuple[float, float]] = SPANS_S) -> int:
    """Hear the file, and what is kept of it, the same; in how many spans there is sound."""
    kept = keep_sound(media, index, store)

    heard = [samples for _, samples in read_spans(media, spans_s, RATE, index)]
    again = [samples for _, samples in read_spans(media, spans_s, RATE, index, kept)]

    assert [samples is None for samples in heard] == [samples is None for samples in again]
    for one, two in zip(heard, again, strict=True):
        np.testing.assert_array_equal(one, two)
    return sum(samples is not None for samples in heard)


def noise(seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, int(seconds * rate)))


def edit_sound(sound: Path, start_s: float, length_s: float) -> None:
    """Change the edit list of an MP4 file with one stream: play ``length_s`` from ``start_s`` on."""
    data = bytearray(sound.read_bytes())
    scale, media_scale = (struct.unpack_from(">I", data, data.index(box) + 16)[0] for box in (b"mvhd", b"mdhd"))
    edit = data.index(b"elst") + 12
    delay = struct.unpack_from(">i", data, edit + 4)[0]
    struct.pack_into(">Ii", data, edit, round(length_s * scale), delay + round(start_s * media_scale))
    sound.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "index", "spans"),
    [
        ("bbb_480p_30s.mp4", 1, 22),  # AAC in 5.1, with an edit list
        ("nasa_13013.mp4", 1, 10),  # two sounds and two films in one file
        ("nasa_13013.mp4", 4, 10),
        ("bbb_0_30_vp8.webm", 1, 22),  # Vorbis
        ("fire2_vfr_rot180.mp4", 1, 2),
        ("jfk.flac", 0, 9),
    ],
)
def test_real_sound_is_the_same(media: Path, tmp_path: Path, name: str, index: int, spans: int) -> None:
    assert assert_heard_alike(media / name, index, tmp_path / "film.h5") == spans


@pytest.mark.parametrize("codec", ["aac", "libopus", "flac"])
def test_an_edit_list_cuts_the_same_off_both_ends(tmp_path: Path, codec: str) -> None:
    sound = tmp_path / "edited.mp4"
    write_sound(sound, noise(4, rate=48_000), rate=48_000, layout="mono", codec=codec)
    edit_sound(sound, 0.5, 2.25)
    spans_s = list(itertools.pairwise(np.arange(0, 4, 0.25).tolist()))

    heard = assert_heard_alike(sound, 0, tmp_path / "film.h5", spans_s)

    assert 9 <= heard <= 10


@pytest.mark.parametrize("suffix", [".webm", ".ogg", ".mka"])
def test_the_delay_and_the_padding_of_opus_are_kept(tmp_path: Path, suffix: str) -> None:
    sound = write_sound(
        tmp_path / f"sound{suffix}", noise(3.3, 2, 48_000), rate=48_000, layout="stereo", codec="libopus"
    )

    assert assert_heard_alike(sound, 0, tmp_path / "film.h5") == 3


@pytest.mark.parametrize("name", ["film.ts", "film.mkv"])
def test_a_film_cut_off_anywhere_sounds_the_same(tmp_path: Path, name: str) -> None:
    film = write_film(
        tmp_path / name, panning_pictures(75, (64, 48)), noise(3)[0], video_start_s=0.0, audio_start_s=0.0
    )
    size = film.stat().st_size

    for end in range(size // 2, size, size // 23):
        part = cut_bytes(film, tmp_path / f"part{film.suffix}", end / size)
        assert assert_heard_alike(part, 1, tmp_path / "film.h5") > 0


@pytest.mark.parametrize(("name", "index"), [("bbb_480p_30s.mp4", 1), ("nasa_13013.mp4", 4), ("bbb_0_30_vp8.webm", 1)])
def test_a_damaged_film_sounds_the_same(media: Path, tmp_path: Path, name: str, index: int) -> None:
    data = bytearray((media / name).read_bytes())
    random = np.random.default_rng(0)
    for place in random.integers(50_000, len(data), 60):
        data[place] = random.integers(256)
    damaged = tmp_path / name
    damaged.write_bytes(data)

    assert assert_heard_alike(damaged, index, tmp_path / "film.h5") > 0


def describe(packet: Packet, is_discarded: bool) -> tuple[object, ...]:
    side = [(piece.data_type, bytes(piece)) for piece in packet.iter_sidedata()]
    times = packet.pts, packet.dts, packet.duration, packet.time_base
    return bytes(packet), *times, packet.is_keyframe, packet.is_corrupt, is_discarded, side


def test_each_packet_is_kept_exactly(media: Path, tmp_path: Path) -> None:
    film = media / "bbb_480p_30s.mp4"

    with open_media(film) as container, keep_sound(film, 1, tmp_path / "film.h5") as kept:
        stream = container.streams.audio[0]
        again = [describe(*pair) for pair in kept.packets(stream)]
        packets = [describe(packet, packet.is_discard) for packet in iterate_packets(container, [stream], lambda: None)]

    assert again == packets
    assert len(packets) == 1409
    assert packets[0][-2:] == (True, [("skip_samples", struct.pack("<IIH", 1024, 0, 0))])
    assert packets[-1][:3] == (b"", None, None)


def test_members_hold_about_a_megabyte(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.wav", noise(60, 2, 44_100), rate=44_100, layout="stereo", codec="pcm_s16le")

    heard = assert_heard_alike(sound, 0, tmp_path / "film.h5")

    with zipfile.ZipFile(kept_path(tmp_path / "film.h5")) as archive:
        sizes = [member.file_size for member in archive.infolist()[1:]]
    assert heard == 25
    assert len(sizes) == 11  # of 10.6 MB
    assert all(1 << 20 <= size < (1 << 20) + 20_000 for size in sizes[:-1])


def test_sound_of_another_stream_or_none_is_not_taken(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.wav", noise(1), rate=RATE, layout="mono", codec="pcm_s16le")
    store = tmp_path / "film.h5"
    with keep_sound(sound, 0, store):
        pass

    assert open_kept_sound(store, MEDIA, 1) is None
    assert open_kept_sound(store, "cd" * 32, 0) is None
    assert open_kept_sound(tmp_path / "other.h5", MEDIA, 0) is None
    with KeptWriter(kept_path(store), KeptFrom(MEDIA, 0, 1)) as archive:
        archive.commit()
    assert open_kept_sound(store, MEDIA, 0) is None


def put_sound(store: Path, members: Sequence[bytes]) -> KeptSound:
    with KeptWriter(kept_path(store), KeptFrom(MEDIA, 0, 1, audio_stream=0)) as archive:
        for number, data in enumerate(members):
            archive.write(f"sound_{number}", data)
        archive.commit()
    kept = open_kept_sound(store, MEDIA, 0)
    assert kept is not None
    return kept


def head(*, den: int = RATE, side: int = 0, size: int = 0) -> bytes:
    return struct.pack("<qqqiiBBI", 0, 0, 1, 1, den, 0, side, size)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([], "has no end"),
        ([head(size=2) + b"ab"], "has no end"),
        ([head()[:-1]], "unpack_from requires"),
        ([head(size=9) + b"ab"], "9 bytes are announced, and 2 follow"),
        ([head(den=0)], "Fraction"),
        ([head(side=1) + struct.pack("<BI", 200, 1) + b"a"], "out of range"),
        ([head(side=1) + struct.pack("<BI", 0, 1 << 31) + b"a"], "bytes are announced"),
        ([head(side=1)], "unpack_from requires"),
    ],
)
def test_damage_is_an_error_that_says_what_to_delete(tmp_path: Path, members: list[bytes], why: str) -> None:
    sound = write_sound(tmp_path / "s.wav", noise(1), rate=RATE, layout="mono", codec="pcm_s16le")
    kept = put_sound(tmp_path / "film.h5", members)

    with pytest.raises(MediaError, match=rf"{why}.* Delete it: rm .*film\.frames\.zip"):
        list(read_spans(sound, [(0.0, 1.0)], RATE, 0, kept))


def test_an_archive_of_random_packets_harms_nothing(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.mka", noise(1), rate=RATE, layout="mono", codec="flac")
    random = np.random.default_rng(0)

    def packets() -> Iterator[bytes]:
        for _ in range(50):
            side = b"".join(
                struct.pack("<BI", kind, size) + random.bytes(size) for kind, size in enumerate([10, 30, 12, 1])
            )
            yield head(side=4, size=300) + side + random.bytes(300)
        yield head()

    kept = put_sound(tmp_path / "film.h5", [b"".join(packets())])

    ((number, _),) = read_spans(sound, [(0.0, 1.0)], RATE, 0, kept)

    assert number == 0


def test_archives_of_other_versions_are_passed_over(tmp_path: Path) -> None:
    path = kept_path(tmp_path / "film.h5")
    for header in ('{"format": "mediafm-frames", "version": 1, "media": "%s"}' % MEDIA, "[]", "null"):  # noqa: UP031
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("frames.json", header)

        assert open_kept(tmp_path / "film.h5", MEDIA) is None


def remux(source: Path, target: Path, *, emptied: int = -1, options: dict[str, str] | None = None) -> Path:
    """Copy the packets of the sound into another file; of the one that is ``emptied``, only its times."""
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options or {}) as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for number, packet in enumerate(old.demux(old.streams.audio[0])):
            if packet.size:
                empty: Packet = Packet(0)
                empty.pts, empty.dts, empty.time_base = packet.pts, packet.dts, packet.time_base
                copied = empty if number == emptied else packet
                copied.stream = stream
                new.mux(copied)
    return target


def test_an_empty_packet_does_not_end_the_sound(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "whole.mka", noise(2), rate=RATE, layout="mono", codec="flac")
    holed = remux(whole, tmp_path / "holed.nut", emptied=1)

    with open_media(holed) as container:
        sizes = [packet.size for packet in container.demux(container.streams.audio[0])][:-1]

    assert sizes.count(0) == 1
    assert assert_heard_alike(holed, 0, tmp_path / "film.h5", [(0.0, 1.0), (1.0, 1.5), (1.5, 1.9)]) == 3


def test_packets_outside_an_edit_list_are_decoded_and_not_heard(media: Path, tmp_path: Path) -> None:
    sound = remux(media / "bbb_0_30_vp8.webm", tmp_path / "edited.mp4", options={"use_editlist": "1"})
    edit_sound(sound, 1.5, 8.0)
    spans_s = list(itertools.pairwise(np.arange(0, 12, 0.5).tolist()))

    assert assert_heard_alike(sound, 0, tmp_path / "film.h5", spans_s) in (16, 17)
