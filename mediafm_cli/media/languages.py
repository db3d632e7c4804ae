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
_NAMES = {
    "arabic": "ar", "bulgarian": "bg", "chinese": "zh", "croatian": "hr", "czech": "cs", "danish": "da", "dutch": "nl",
    "english": "en", "estonian": "et", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he",
    "hindi": "hi", "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "slovak": "sk", "slovenian": "sl", "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr",
    "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_SHORTEST = {long: short for short, longs in _TWO_LETTERS.items() for long in longs.split()}


def same_language(one: str, other: str) -> bool:
    """Compare two tags such as ``en``, ``eng`` or ``en-GB`` by their language alone."""
    return primary_language(one) == primary_language(other)


def primary_language(tag: str) -> str:
    """The shortest code of a tag's language, its region left out; English names, such as ``german``, are tags too."""
    language = tag.strip().lower().replace("_", "-").partition("-")[0]
    return _NAMES.get(language) or _SHORTEST.get(language, language)
