"""``text.hashed``: what texts share decides how near they are, whoever runs it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from mediafm_cli.api import Shot
from mediafm_cli.encoders.text_hashed import TextHashed, TextHashedOptions
from mediafm_cli.errors import UsageError
from mediafm_cli.testing import assert_encoder

WORDS_ONLY = TextHashedOptions(dim=4096, word_ngrams=1, char_high=0)


def encode(text: str, options: TextHashedOptions | None = None) -> np.ndarray:
    return TextHashed(options).encode([Shot(0, 0.0, 1.0, text=text)])[0]


def similarity(one: str, two: str, options: TextHashedOptions | None = None) -> float:
    return float(encode(one, options) @ encode(two, options))


def test_keeps_the_contract_of_an_encoder() -> None:
    assert_encoder(TextHashed)
    assert_encoder(TextHashed, TextHashedOptions(dim=64, word_ngrams=1, char_high=0))


@pytest.mark.parametrize("text", ["Where were you?", "...", "♪", "你好，世界", "x", "and " * 500])
def test_rows_have_unit_length(text: str) -> None:
    assert np.linalg.norm(encode(text)) == pytest.approx(1, abs=1e-6)


def test_one_word_lands_where_its_hash_says() -> None:
    number = int.from_bytes(hashlib.blake2b(b"w anchor", digest_size=8).digest(), "little")

    vector = encode("Anchor!", WORDS_ONLY)

    assert np.flatnonzero(vector).tolist() == [(number >> 1) % 4096]
    assert vector[(number >> 1) % 4096] == (1.0 if number % 2 else -1.0)


def test_the_order_of_words_does_not_matter_to_single_words() -> None:
    assert similarity("the boat left the pier", "left pier the the boat", WORDS_ONLY) == pytest.approx(1, abs=1e-6)


def test_the_order_of_words_matters_to_pairs() -> None:
    pairs = TextHashedOptions(dim=4096, word_ngrams=2, char_high=0)

    # Three words each and no pair in common: 3 of 5 features shared.
    assert similarity("dog bites man", "man bites dog", pairs) == pytest.approx(3 / 5, abs=1e-6)


def test_a_word_said_again_counts_by_the_logarithm() -> None:
    # Weights (1 + ln 3, 1) against (1, 1).
    heavy = 1 + math.log(3)
    expected = (heavy + 1) / (math.hypot(heavy, 1) * math.sqrt(2))

    assert similarity("no no no never", "no never", WORDS_ONLY) == pytest.approx(expected, abs=1e-6)


def test_case_width_and_punctuation_do_not_matter() -> None:
    assert similarity("WHERE, are; you?", "where are ｙｏｕ") == pytest.approx(1, abs=1e-6)
    assert similarity("Straße", "STRASSE") == pytest.approx(1, abs=1e-6)


def test_inflected_forms_are_near_and_other_words_are_not() -> None:
    assert similarity("anchored", "anchors") > 0.2
    assert abs(similarity("anchored", "butterfly")) < 0.15


def test_texts_without_a_word_in_common_are_near_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(chr(97 + letter) for letter in rng.integers(26, size=7)) for _ in range(200)]
    vectors = np.stack([encode(" ".join(words[k : k + 5])) for k in range(0, 200, 5)])

    cosines = (vectors @ vectors.T)[~np.eye(40, dtype=bool)]

    assert abs(cosines.mean()) < 0.02  # the signs make collisions cancel
    assert cosines.std() < 0.12


def test_the_vectors_are_the_same_in_a_process_with_another_hash_seed() -> None:
    program = (
        "import json; from mediafm_cli.api import Shot; from mediafm_cli.encoders.text_hashed import TextHashed;"
        "print(json.dumps(TextHashed().encode([Shot(0, 0, 1, text='the boat left the pier')])[0].tolist()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}

    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout

    assert json.loads(output) == encode("the boat left the pier").tolist()


@pytest.mark.parametrize(("field", "value"), [("dim", 0), ("word_ngrams", 0), ("char_low", 0), ("char_high", -1)])
def test_refuses_options_out_of_range(field: str, value: int) -> None:
    with pytest.raises(UsageError, match=r"text\.hashed needs"):
        TextHashedOptions(**{field: value})
