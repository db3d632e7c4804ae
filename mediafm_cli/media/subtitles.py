"""Subtitle files as timed text: SubRip, WebVTT, SubStation, MicroDVD, SAMI and TTML."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pysubs2
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from mediafm_cli.errors import MediaError
from mediafm_cli.media.text_encoding import decode_text
from mediafm_cli.media.ttml import parse_ttml

MAX_BYTES = 32 << 20
"""Largest subtitle file that is read; a film's is a tenth of a MiB."""

PARSERS = {
    ".srt": "srt",
    ".vtt": "vtt",
    ".ass": "ass",
    ".ssa": "ssa",
    ".sub": "microdvd",
    ".smi": "sami",
    ".sami": "sami",
    ".ttml": "ttml",
    ".dfxp": "ttml",
    ".xml": "ttml",
}
"""Suffixes that are read, and pysubs2's name of the format; TTML is parsed here, for hostile XML and for its times."""

_DEFAULT_FPS = 25.0
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>")


def read_subtitles(
    path: Path, frame_rate: float | None = None, encoding: str | None = None
) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Read (start_s, end_s, text) of every cue, in the file's order and without markup, and notes on how it was read.

    Args:
        frame_rate: of the film, for formats that count frames.
        encoding: of the text, where it is not UTF-8; ``None`` finds it out.

    Raises:
        MediaError: the file cannot be read, is too large, or is not a subtitle file of a known format.
        UsageError: the file is neither UTF-8 nor in the encoding named.
    """
    data = _read_bounded(path)
    try:
        if PARSERS.get(path.suffix.lower()) == "ttml":
            return [(start, end, clean_text(text)) for start, end, text in parse_ttml(data)], []
        text, notes = decode_text(path.name, data, encoding)
        events = _parse(path, text, frame_rate)
    except (ValueError, LookupError, NotImplementedError, OverflowError, pysubs2.Pysubs2Error) as error:
        raise MediaError(
            f"{path} is not a subtitle file that can be read.",
            str(error).splitlines()[0] if str(error) else type(error).__name__,
            f"Supported are {', '.join(PARSERS)}.",
        ) from error
    if not events and text.strip():
        raise MediaError(f"{path} holds no cue.", "There are no times in it.", "Check that it is a subtitle file.")
    return [(event.start / 1000, event.end / 1000, clean_text(event.plaintext)) for event in events], notes


def clean_text(text: str) -> str:
    """Take out markup, keep the words and what stands in [brackets]."""
    lines = html.unescape(_TAG.sub("", text)).splitlines()
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def read_dialogues(shown: SubtitleSet) -> list[str]:
    """The texts of decoded captions, without markup and without what is drawn."""
    words = [subtitle.dialogue for subtitle in shown if isinstance(subtitle, AssSubtitle)]
    events = [pysubs2.SSAEvent(text=text.decode("utf-8", "replace")) for text in words]
    return [clean_text(event.plaintext) for event in events if event.is_text]


def _read_bounded(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise MediaError(f"{path} is not a file.", "", "Name an existing subtitle file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "Check the name and its permissions."
        raise MediaError(f"{path} cannot be read.", f"{error.strerror}.", hint) from error
    if len(data) > MAX_BYTES:
        raise MediaError(f"{path} is too large for subtitles.", f"At most {MAX_BYTES >> 20} MiB are read.")
    return data


def _parse(path: Path, text: str, frame_rate: float | None) -> list[pysubs2.SSAEvent]:
    if "\0" in text:
        raise ValueError("it holds binary data")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parser = PARSERS.get(path.suffix.lower())
    if parser == "vtt":
        text = _keep_cues(text)
    elif parser == "microdvd" and not re.match(r"\s*\{\d+\}\{\d*\}", text):
        raise ValueError("a .sub file is read only if it is MicroDVD text; VobSub holds pictures")
    fps = frame_rate or _DEFAULT_FPS
    events = pysubs2.SSAFile.from_string(text, format_=parser, fps=fps if parser == "microdvd" else None)
    return [event for event in events if event.is_text]


def _keep_cues(text: str) -> str:
    """WebVTT without comments, styles and cue names, which pysubs2 would read as words of the cue before."""
    blocks = (block.splitlines() for block in re.split(r"\n[ \t]*\n", text))
    cues = []
    for lines in blocks:
        timing = next((number for number, line in enumerate(lines[:2]) if "-->" in line), None)
        if timing is not None:
            cues.append("\n".join(lines[timing:]))
    return "WEBVTT\n\n" + "\n\n".join(cues) + "\n"
