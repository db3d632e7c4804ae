"""The page: one HTML file with everything in it, which fetches nothing and runs no other script than its own.

What a person wrote (titles, captions, names of files) reaches the page in two ways only: through Jinja with its
escaping on, and as JSON in which no character can end the element that holds it. The page's own policy forbids every
address and every script but the one whose hash it names.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mediafm_cli import __version__
from mediafm_cli.report.ablation import AblationSummary
from mediafm_cli.report.curves import draw_curves
from mediafm_cli.report.page_data import encode_base64, page_data
from mediafm_cli.report.title import Report

SCRIPTS = ("page.js", "timeline.js", "similarity.js", "map.js", "nearest.js")


def render_page(report: Report, ablation: AblationSummary | None = None) -> str:
    """The HTML of a report; the same report gives the same text."""
    folder = files("mediafm_cli.report") / "templates"
    script = "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "page.html.jinja").read_text("utf-8"))
    pictures = [
        None if picture is None else encode_base64(picture) for title in report.titles for picture in title.pictures
    ]
    return template.render(
        version=__version__,
        style=Markup((folder / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_sha256=encode_base64(hashlib.sha256(script.encode()).digest()),
        data=_embed(page_data(report)),
        pictures=_embed(pictures),
        titles=report.titles,
        shots=sum(len(title) for title in report.titles),
        all_shots=sum(title.shots for title in report.titles),
        spoken=sum(bool(text.strip()) for title in report.titles for text in title.text),
        length_s=sum(float(title.end_s[-1] - title.start_s[0]) for title in report.titles),
        blocks=report.blocks,
        normalize=report.normalize,
        model=report.model,
        curves=draw_curves(report.model.metrics) if report.model and report.model.metrics else [],
        ablation=ablation,
        clock=format_clock,
    )


def format_clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _embed(value: object) -> Markup:
    """JSON for a ``<script>`` that is data: without ``<``, ``>`` and ``&`` nothing in it ends or starts an element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
