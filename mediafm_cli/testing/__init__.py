"""The conformance kit for plugin authors: does an encoder or a segmenter keep the promises of ``mediafm_cli.api``?

In a plugin's own test, with any test runner::

    from mediafm_cli.testing import assert_encoder

    def test_keeps_the_contract():
        assert_encoder(MyEncoder)

The shots are made here, for what the encoder ``needs``: no media file is read. Standard library and NumPy only.
"""

from mediafm_cli.testing.check import Check
from mediafm_cli.testing.encoder import assert_encoder, encoder_checks
from mediafm_cli.testing.examples import example_shots, example_thumbnails
from mediafm_cli.testing.segmenter import assert_segmenter, segmenter_checks

__all__ = [
    "Check",
    "assert_encoder",
    "assert_segmenter",
    "encoder_checks",
    "example_shots",
    "example_thumbnails",
    "segmenter_checks",
]
