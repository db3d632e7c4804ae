"""Whether two language tags mean the same language."""

from __future__ import annotations

# ISO 639-1 codes and the 639-2 codes (terminological, bibliographic) that containers write instead.
_TWO_LETTERS = {
    "ar": "ara", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces cze", "da": "dan", "de": "deu ger",
    "el": "ell gre", "en": "eng", "es": "spa", "et": "est", "eu": "eus baq", "fa": "fas per", "fi": "fin",
    "fr": "fra fre", "gl": "glg", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "id": "ind",
    "is": "isl ice", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit", "lv": "lav", "ms": "msa may",
    "nb": "nob", "nl": "nld dut", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron rum", "ru": "rus",
    "sk": "slk slo", "sl": "slv", "sr": "srp", "sv": "swe", "ta": "tam", "te": "tel", "th": "tha", "tr": "tur",
    "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "zho chi",
}  # fmt: skip
_SHORTEST = {long: short for short, longs in _TWO_LETTERS.items() for long in longs.split()}


def same_language(one: str, other: str) -> bool:
    """Compare two tags such as ``en``, ``eng`` or ``en-GB`` by their language alone."""
    return _primary(one) == _primary(other)


def _primary(tag: str) -> str:
    language = tag.lower().replace("_", "-").partition("-")[0]
    return _SHORTEST.get(language, language)
