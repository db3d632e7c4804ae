"""The segmenter ``import``: cuts that somebody else made, from a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediafm_cli.api import Boundary, Segmenter, Thumbnail, Title
from mediafm_cli.errors import UsageError
from mediafm_cli.segmenters.cut_lists.entries import CutList
from mediafm_cli.segmenters.cut_lists.placing import place_cuts
from mediafm_cli.segmenters.cut_lists.reading import read_cut_list
from mediafm_cli.segmenters.cut_lists.timecodes import parse_rate, snap_rate

_TITLE = "{title}"
_BRACES = re.compile(r"\{[^{}]*\}")


class ImportSegmenter(Segmenter):
    """Takes the boundaries of each title from a list of cuts that somebody else made.

    Each reader in ``cut_lists`` says what it takes of its format; ``placing`` says on which frame a time falls.
    """

    @dataclass(frozen=True)
    class Options:
        """What may be set.

        Attributes:
            file: the list. ``{title}`` stands for the name of the media file without its suffix. ``.csv``:
                PySceneDetect's scenes, or a column frame, start_frame, time_s, start_s or timecode. ``.json``:
                [58, 76], frames if all are whole numbers; [2.5, 4.0], seconds if one has a decimal point;
                {"cuts_s": [seconds]}; {"hard_cuts": [frames], "gradual": [{"first": frame, "last": frame}]}; or
                {"clips": {"film.mp4": any of these}}. ``.edl``: CMX 3600. ``.otio``: OpenTimelineIO. Frames count from
                0.
            rate: frames a second of the list's time codes, such as 24 or 30000/1001; the title's own otherwise.
        """

        file: str = field(default="", compare=False)
        rate: str = ""

        def __post_init__(self) -> None:
            if self.rate:
                parse_rate(self.rate)

    thumbnail_size = None

    _title: Title
    _cuts: CutList
    _sha256: str

    def begin(self, title: Title) -> None:
        """Read the list.

        Raises:
            UsageError: no list is given, or it cannot be used.
            UnavailableError: a library that reads it is not installed.
        """
        if not self.options.file:
            what = "The segmenter import needs a list of cuts."
            raise UsageError(
                what, hint="Name one with --opt file=cuts.csv, or one a title: --opt 'file=cuts/{title}.csv'"
            )
        path = Path(self.options.file.replace(_TITLE, title.name)).expanduser()
        other = next((part for part in _BRACES.findall(self.options.file) if part != _TITLE), None)
        if other and not path.exists():
            hint = f"Write {_TITLE} for the name of the media file without its suffix."
            raise UsageError(f"There is no list of cuts at {path}.", f"{other} stands for nothing.", hint)
        title_rate = None if title.frame_rate is None else snap_rate(title.frame_rate)
        rate = parse_rate(self.options.rate) if self.options.rate else None
        self._cuts, self._sha256 = read_cut_list(path, title.name, title_rate, rate)
        self._title = title

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        return place_cuts(self._cuts, frames, self._title)

    def fingerprint(self) -> Mapping[str, str]:
        return {"version": "1", "sha256": self._sha256}
