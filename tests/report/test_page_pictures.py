"""Pictures of a page: each within its bytes, and as large as they allow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mediafm_cli.report.pictures import ALL_BYTES, LARGEST_SIDE, MOST_BYTES, bytes_a_picture, encode_picture

NOISE = np.random.default_rng(0).integers(0, 256, (180, 320, 3), dtype=np.uint8)


def longer_side(jpeg: bytes | None) -> int:
    assert jpeg is not None
    return max(Image.open(io.BytesIO(jpeg)).size)


@pytest.mark.parametrize("most", [14_000, 6_000, 2_000])
def test_a_picture_has_no_more_bytes_than_it_may(most: int) -> None:
    jpeg = encode_picture(NOISE, most)

    assert jpeg is not None
    assert len(jpeg) <= most


def test_fewer_bytes_make_a_smaller_picture() -> None:
    assert longer_side(encode_picture(NOISE, 4_000)) < longer_side(encode_picture(NOISE, 14_000))


def test_a_plain_picture_keeps_its_size_and_shape() -> None:
    jpeg = encode_picture(np.full((320, 180, 3), 90, np.uint8), MOST_BYTES)

    assert jpeg is not None
    assert Image.open(io.BytesIO(jpeg)).size == (180, LARGEST_SIDE)


def test_where_nothing_fits_there_is_no_picture() -> None:
    assert encode_picture(NOISE, 300) is None


@pytest.mark.parametrize("pictures", [1, 400, 1000, 5000])
def test_all_pictures_of_a_page_fit_together(pictures: int) -> None:
    assert pictures * bytes_a_picture(pictures) <= ALL_BYTES
    assert bytes_a_picture(pictures) <= MOST_BYTES
