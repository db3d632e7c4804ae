"""How the bytes of subtitles become text: by a mark, as UTF-8, as the user says, else by a guess that is told."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterable, Sequence

from mediafm_cli.errors import UsageError
from mediafm_cli.media.languages import primary_language, words_of_name

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Those in which digits, colons and arrows are as in ASCII: a wrong guess among them spoils words, never times.
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"]
_LEGACY += ["cp932", "euc_jp", "gb18030", "big5", "cp949", "koi8_r"]
_FALLBACK = "cp1252"
_READ_AS = "is not UTF-8; it was read as "
_BY_LANGUAGE = {
    "ar fa": ["cp1256"],
    "bg ru sr uk": ["cp1251", "koi8_r"],
    "cs hr hu pl ro sk sl": ["cp1250"],
    "el": ["cp1253"],
    "et lt lv": ["cp1257"],
    "he": ["cp1255"],
    "ja": ["cp932", "euc_jp"],
    "ko": ["cp949"],
    "th": ["cp874"],
    "tr": ["cp1254"],
    "zh": ["gb18030", "big5"],
}
_OF_LANGUAGE = {tag: encodings for tags, encodings in _BY_LANGUAGE.items() for tag in tags.split()}


def decode_text(name: str, data: bytes, encoding: str | None = None) -> tuple[str, list[str]]:
    """The text, and a note where its encoding was guessed.

    Args:
        name: of the file, for the note; a language at its end, as in ``film.ja.srt``, narrows the guess.
        encoding: as the user says, of bytes that neither begin with a mark nor are UTF-8; nothing is guessed then.

    Raises:
        UsageError: there is no such encoding, or the bytes are not in it.
    """
    marked = decode_marked(data)
    if marked is not None:
        return marked, []
    if encoding is not None and not _is_utf8_alone(data):
        return _decode_as(name, data, encoding), []
    if data[:200].count(0) > len(data[:200]) // 4:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace"), []
    if is_utf8(data):
        return data.decode("utf-8-sig"), []
    guessed = _guess(data, _language_in(name))
    return data.decode(guessed, "replace"), [_describe_guess(name, guessed)]


def decode_marked(data: bytes) -> str | None:
    """The text of bytes that begin with the mark of UTF-16 or UTF-32; ``None`` where they do not."""
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    return data.decode(marked, "replace") if marked else None


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, which ASCII is too."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode_pieces(
    name: str, pieces: Sequence[bytes], encoding: str | None = None, language: str | None = None
) -> tuple[list[str], list[str]]:
    """The texts of pieces in one encoding, which is not UTF-8, and a note of which it is.

    Letters that are not in the encoding are replaced.

    Args:
        name: of what they are pieces of, for the note.
        encoding: as the user says; nothing is guessed then. ``language``: a tag, which narrows the guess.
    """
    if not pieces:
        return [], []
    taken = require_encoding(encoding) if encoding else _guess(b"\n".join(pieces), language)
    note = f"{name} {_READ_AS}{taken}" if encoding else _describe_guess(name, taken)
    return [piece.decode(taken, "replace") for piece in pieces], [note]


def find_noted(name: str, notes: Iterable[str]) -> str | None:
    """The encoding that ``name`` was read in, as the notes of ``decode_pieces`` say; ``None`` where it is UTF-8."""
    said = f"{name} {_READ_AS}"
    return next((note.removeprefix(said).partition(",")[0] for note in notes if note.startswith(said)), None)


def require_encoding(name: str) -> str:
    """Python's name of an encoding.

    Raises:
        UsageError: there is no such encoding.
    """
    try:
        bytes(4).decode(name)  # which refuses what is a codec and no encoding of text, such as hex
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        hint = "Name one such as utf-8, cp1251, shift_jis or gb18030."
        raise UsageError(f"There is no encoding {name!r}.", hint=hint) from error


def _is_utf8_alone(data: bytes) -> bool:
    """Whether the bytes are UTF-8 and can be nothing else: ASCII may be ISO 2022, and zeros tell of UTF-16."""
    return not data.isascii() and 0 not in data and is_utf8(data)


def _decode_as(name: str, data: bytes, encoding: str) -> str:
    named = require_encoding(encoding)
    try:
        return data.decode("utf-8-sig" if named == "utf-8" else named)
    except UnicodeError as error:
        raise UsageError(f"{name} is not in {encoding}.", f"{error}.", "Leave --subtitle-encoding out.") from error


def _describe_guess(name: str, guessed: str) -> str:
    return f"{name} {_READ_AS}{guessed}, so check its letters, or say --subtitle-encoding"


def _language_in(name: str) -> str | None:
    words = words_of_name(name.rpartition(".")[0])[1:]  # the first one is of the title
    return words[-1] if words else None


def _guess(data: bytes, language: str | None) -> str:
    import charset_normalizer

    logging.getLogger("charset_normalizer").setLevel(logging.ERROR)
    likely = _OF_LANGUAGE.get(primary_language(language), _LEGACY) if language else _LEGACY
    matches = charset_normalizer.from_bytes(data, cp_isolation=likely)
    best = matches.best()
    if best is None:
        return _FALLBACK
    as_usual = any(match.encoding == _FALLBACK and match.chaos <= best.chaos for match in matches)
    return _FALLBACK if as_usual else codecs.lookup(best.encoding).name
