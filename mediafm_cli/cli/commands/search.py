"""``mediafm search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.errors import UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mediafm_cli.stages.search import Hit

CAPTION_COLUMNS = 60
"""Of a caption in the table; all of it is in --json."""


def search(
    stores: shared.Stores,
    like: Annotated[
        str | None,
        typer.Option(metavar="TITLE:SHOT", help="A shot: film:12, the first is 0; or film@63.5, in seconds."),
    ] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="A picture.")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="SENTENCE", help="What is to be seen, or --in text, said.")
    ] = None,
    in_: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="NAME",
            help="flat, a modality or embeddings. Default: the embeddings, if there are any of one name, else flat; "
            "for a picture or a sentence, video.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Shots to find.")] = 10,
    exclude_title: Annotated[
        bool,
        typer.Option("--exclude-title", help="With --like: no shot of the same title. Default: not the shot itself."),
    ] = False,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.faiss",
            help="Search by an index, made where it is missing or outdated. Past a million shots it is approximate.",
        ),
    ] = None,
    opt: Annotated[
        list[str],
        typer.Option("--opt", metavar="KEY=VALUE", help="An option of the encoder that the stores do not know so."),
    ] = [],  # noqa: B006 - Typer copies it
    device: shared.Device = "auto",
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Find the shots nearest to a shot, a picture or a sentence.

    mediafm search stores/ --like film:12

    mediafm search stores/ --text "a boat at sea" --top 5

    mediafm search stores/ --image poster.jpg --json

    A sentence needs an encoder with a text tower, as video.open-clip has, or one of text: --in text.
    """
    if [like, image, text].count(None) != 2:
        raise UsageError("One thing is searched for at a time.", hint="Give one of --like, --image and --text.")
    if exclude_title and like is None:
        raise UsageError("--exclude-title leaves out the title of a shot.", hint="It goes with --like.")
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    from mediafm_cli.stages.queries import encode_image, encode_text, host_of, read_encoding
    from mediafm_cli.stages.search import choose_place, find_shot, scan_titles, vector_of
    from mediafm_cli.stages.search import search as search_stores

    console = Console(quiet=quiet, as_json=json)
    titles = scan_titles(paths)
    place = choose_place(titles, in_, default=None if like else "encodings/video")
    left_out: dict[Path, int | None] = {}
    if like is not None:
        shot = find_shot(titles, like)
        query = vector_of(place, shot)
        left_out[shot.store] = None if exclude_title else shot.shot
    else:
        with host_of(read_encoding(paths[0], place), opt, device=device) as host:
            query = encode_image(host, image) if image else encode_text(host, text or "")
    among = None
    if index:
        from mediafm_cli.stages.shot_index import preselect

        among = preselect(index, titles, place, query, count=top, left_out=left_out)
    hits = search_stores(titles, place, query, count=top, left_out=left_out, among=among)
    console.say(f"search: {counted(len(hits), 'shot')} of {counted(len(paths), 'title')}, in {place}")
    if all(path in left_out and left_out[path] is None for path in paths):
        console.warn("no other title is searched: name more stores, or leave out --exclude-title")
    elif not hits:
        console.warn(f"no shot that is searched has anything in {place}; --in names other vectors")
    if json:
        for rank, hit in enumerate(hits, 1):
            where = {"store": str(hit.store), "title_id": hit.title_id, "shot": hit.shot}
            when = {"start_s": hit.start_s, "end_s": hit.end_s, "text": hit.text}
            console.record("search.hit", rank=rank, **where, **when, cosine=hit.cosine, group=place)
    elif hits:
        console.result(_table(hits))


def _table(hits: Sequence[Hit]) -> str:
    from mediafm_cli.evaluate.writing import align, format_time

    rows = [("title", "shot", "from", "to", "cosine", "caption")]
    for hit in hits:
        caption = " ".join(hit.text.split())
        shown = caption if len(caption) <= CAPTION_COLUMNS else f"{caption[: CAPTION_COLUMNS - 1]}…"
        times = (format_time(hit.start_s), format_time(hit.end_s))
        rows.append((hit.title_id, str(hit.shot), *times, f"{hit.cosine:.4f}", shown))
    return "\n".join(align(rows, left=6, right=(1, 2, 3, 4)))
