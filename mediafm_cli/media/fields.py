"""Interlaced pictures: one moment out of the two that they hold."""

from __future__ import annotations

from fractions import Fraction

from av.filter import Graph
from av.video.frame import VideoFrame


def take_one_field(frame: VideoFrame) -> VideoFrame:
    """The upper field of an interlaced picture, half as high; any other picture as it is.

    A field is one moment, so nothing is combed. Pictures are sampled one by one, so there are no neighbours from which
    a deinterlacer could gain detail; and scaled to less than half their height, as for an image encoder, they lose
    none. The flag of the picture is trusted: progressive film that is flagged as interlaced loses detail where it is
    shown higher than its field.
    """
    if not frame.interlaced_frame or frame.height < 2:
        return frame
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("field", "top"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
