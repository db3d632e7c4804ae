"""``text.hashed``: words and pieces of words, hashed into a vector of fixed width.

The text is folded (NFKC, case) and cut into words. Features are the n-grams of words, and the n-grams of characters of
each word between ``<`` and ``>`` (as in fastText: Bojanowski et al. 2017), which bring inflected forms together. A
feature that occurs c times weighs 1 + ln c (sub-linear term frequency: Manning, Raghavan & Schütze 2008, 6.4.1), and
adds that weight, with a sign, to the place that its hash names (Weinberger et al. 2009): the signs make collisions
cancel on average, so the dot product of two texts estimates that of their full bags. Words and characters each come to
unit length before they are added.

The hash is BLAKE2b, so the vectors are the same in every process and on every machine.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.errors import UsageError

_WORD = re.compile(r"[\w♪♫]+")  # captions mark singing with notes


@dataclass(frozen=True)
class TextHashedOptions:
    """Options of ``text.hashed``.

    Attributes:
        dim: width of the vectors.
        word_ngrams: longest n-gram of words, from 1.
        char_low, char_high: shortest and longest n-gram of characters; ``char_high`` of 0 leaves them out.
    """

    dim: int = 256
    word_ngrams: int = 2
    char_low: int = 3
    char_high: int = 5

    def __post_init__(self) -> None:
        if self.dim < 1 or self.word_ngrams < 1 or self.char_low < 1 or self.char_high < 0:
            raise UsageError("text.hashed needs dim, word_ngrams and char_low of at least 1, char_high of at least 0.")


class TextHashed(Encoder):
    """Hashed n-grams of words and characters: float32 [n, dim], rows of unit length."""

    needs = Text()
    Options = TextHashedOptions

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.options.dim

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Describe the text of each shot: float32 [len(shots), dim]."""
        rows = np.zeros((len(shots), self.dim), np.float32)
        for row, shot in zip(rows, shots, strict=True):
            assert shot.text is not None  # the host fills in what the encoder needs
            row[:] = self._describe(shot.text)
        return rows

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the formulas."""
        return {"version": "1"}

    def _describe(self, text: str) -> np.ndarray:
        options = self.options
        words = _split(text)
        vector = _hash_counts(Counter(_word_ngrams(words, options.word_ngrams)), self.dim)
        if options.char_high >= options.char_low:
            pieces = Counter(_char_ngrams(words, options.char_low, options.char_high))
            vector = vector + _hash_counts(pieces, self.dim)
        return _unit(vector)


def _split(text: str) -> list[str]:
    """Cut folded text into words; text without any (only punctuation, say) is one word, so no text is a zero vector."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(folded) or [folded.strip()]


def _word_ngrams(words: list[str], longest: int) -> Iterator[str]:
    for length in range(1, longest + 1):
        for begin in range(len(words) - length + 1):
            yield "w " + " ".join(words[begin : begin + length])


def _char_ngrams(words: list[str], shortest: int, longest: int) -> Iterator[str]:
    for word in words:
        marked = f"<{word}>"
        for length in range(shortest, longest + 1):
            for begin in range(len(marked) - length + 1):
                yield "c " + marked[begin : begin + length]


def _hash_counts(counts: Counter[str], dim: int) -> np.ndarray:
    """The signed feature hash of sub-linear counts, at unit length: float64 [dim]."""
    vector = np.zeros(dim)
    for feature, count in counts.items():
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
        sign = 1.0 if number & 1 else -1.0
        vector[(number >> 1) % dim] += sign * (1 + np.log(count))
    return _unit(vector)


def _unit(vector: np.ndarray) -> np.ndarray:
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector
