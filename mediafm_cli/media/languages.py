"""Language tags: what they mean, how near they are to one another, and where they stand in the names of files."""

from __future__ import annotations

import difflib
import re

from mediafm_cli.errors import UsageError

# ISO 639-1 codes and the 639-2 codes (terminological, bibliographic) that containers write instead.
_TWO_LETTERS = {
    "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces cze", "da": "dan", "de": "deu ger",
    "el": "ell gre", "en": "eng", "es": "spa", "et": "est", "eu": "eus baq", "fa": "fas per", "fi": "fin",
    "fr": "fra fre", "gl": "glg", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "id": "ind",
    "is": "isl ice", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit", "lv": "lav", "ms": "msa may",
    "nl": "nld dut", "no": "nor nb nob", "pl": "pol", "pt": "por", "ro": "ron rum", "ru": "rus",
    "sk": "slk slo", "sl": "slv", "sr": "srp", "sv": "swe", "ta": "tam", "te": "tel", "th": "tha", "tr": "tur",
    "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho chi",
}  # fmt: skip
_NAMES = {
    "arabic": "ar", "bulgarian": "bg", "chinese": "zh", "croatian": "hr", "czech": "cs", "danish": "da", "dutch": "nl",
    "english": "en", "estonian": "et", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he",
    "hindi": "hi", "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr",
    "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_NO_LANGUAGES = ("forced", "sdh", "cc", "hi", "default", "full")  # what else stands in the names of subtitle files
_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8})*", re.IGNORECASE)
_SHORTEST = {long: short for short, longs in _TWO_LETTERS.items() for long in longs.split()}


def parse_languages(text: str | None) -> list[str]:
    """Tags with commas between them, the best first, such as ``en`` or ``pt-BR,es`` (BCP 47); none of nothing.

    Raises:
        UsageError: one is neither a tag nor the English name of a language that is known here.
    """
    tags = [tag.strip() for tag in (text or "").split(",") if tag.strip()]
    for tag in tags:
        if not _TAG.fullmatch(tag.replace("_", "-")) and tag.lower() not in _NAMES:
            near = difflib.get_close_matches(tag.lower(), _NAMES, n=1)
            hint = f"Did you mean {_NAMES[near[0]]}?" if near else "Name languages as en or pt-BR, with commas between."
            raise UsageError(f"{tag!r} is no language.", hint=hint)
    return tags


def language_distance(tag: str, wanted: str) -> int | None:
    """How far a tag is from the one wanted; English names, such as ``German``, are tags too.

    Returns:
        0 for the same language and region (``eng`` and ``en``), 1 for the language without a region, 2 for another
        region of it, ``None`` for another language.
    """
    language, region = _parse(tag)
    if language != _parse(wanted)[0]:
        return None
    return 0 if region == _parse(wanted)[1] else 2 if region else 1


def primary_language(tag: str) -> str:
    """The shortest code of a tag's language, its region left out."""
    return _parse(tag)[0]


def words_of_name(stem: str) -> list[str]:
    """Words in the name of a subtitle file without those that are no language: ``2, English`` of ``2_English SDH``."""
    words = re.split(r"[\s.()\[\]]+|(?<=\d)_", stem)
    return [word for word in words if word and word.lower() not in _NO_LANGUAGES]


def _parse(tag: str) -> tuple[str, str]:
    """Shortest code of the language, and whatever follows it: a region, a script."""
    language, _, region = tag.strip().lower().replace("_", "-").partition("-")
    return _NAMES.get(language) or _SHORTEST.get(language, language), region
