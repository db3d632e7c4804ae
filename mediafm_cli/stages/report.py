"""``report``: gather from stores, media files and a model what a page shows of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError, StaleError, UsageError, command
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.media.kept_sound import open_kept_sound
from mediafm_cli.report.pictures import LARGEST_SIDE, bytes_a_picture, encode_picture
from mediafm_cli.report.sound import RATE, divide, measure_sound
from mediafm_cli.report.title import Caption, Report, ReportModel, ReportTitle, Sound
from mediafm_cli.stages.kept_pictures import read_kept_pictures
from mediafm_cli.stages.material import find_media
from mediafm_cli.stages.outcome import OnProgress, Progress, ignore_progress
from mediafm_cli.stages.shot_labels import label_shots
from mediafm_cli.store.freshness import require_fresh
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import Embedding, Shots
from mediafm_cli.train.catalogue import open_catalogue


@dataclass(frozen=True)
class _Model:
    """A model, and what its embeddings are known by."""

    shown: ReportModel
    folder: Path
    fingerprint: str
    parts: dict[str, str]


def gather_report(
    stores: Sequence[Path],
    model: Path | None = None,
    *,
    max_shots: int,
    media_folder: Path | None = None,
    labels: tuple[Path, str] | None = None,
    progress: OnProgress = ignore_progress,
) -> Report:
    """Read everything that a page shows; nothing is written.

    Args:
        model: a model folder, whose embeddings the stores hold.
        max_shots: of all titles together; each shows its first shots, the short ones all of theirs.
        media_folder: in which media files are looked for first.
        labels: a list of clips and the column of it that labels them; see ``label_shots``.

    Raises:
        UsageError: ``max_shots`` is less than one a title, two stores hold one title, or the labels cannot be used.
        StoreError: a store is not valid or not fused.
        StaleError: a store is stale, fused unlike the others, or not embedded by this model.
        TrainingError: the model is damaged.
    """
    catalogue = open_catalogue(stores)
    shown = share_shots([len(title) for title in catalogue.titles], max_shots)
    found = _open_model(model) if model else None
    labelled: dict[Path, list[str]] = {}
    if labels:
        owners = {title.title_id: title.path for title in catalogue.titles}
        labelled = label_shots(owners, {title.path: len(title) for title in catalogue.titles}, *labels)
    warnings: list[str] = []
    titles: list[ReportTitle] = []
    layers: set[str] = set()
    for path, count in zip(stores, shown, strict=True):
        with open_store(path) as store:
            embedding = _find_embedding(store, found) if found else None
            layers |= {embedding.layer} if embedding else set()
            reading = _Reading(store, count, media_folder, sum(shown), sum(map(len, titles)), progress)
            title = reading.title(embedding, found.parts if found else {})
            titles.append(replace(title, labels=labelled[path][:count]) if labelled else title)
            warnings += [f"{path}: {warning}" for warning in reading.warnings]
    if len(layers) > 1:
        hint = "Embed all of them alike: mediafm embed STORES --model MODEL --overwrite"
        raise StaleError("The stores hold embeddings of two layers of the model.", "They cannot be compared.", hint)
    of_model = replace(found.shown, layer=layers.pop()) if found else None
    layout = catalogue.layout
    return Report(titles, layout.blocks, layout.normalize, of_model, labels[1] if labels else "", warnings)


def share_shots(lengths: Sequence[int], most: int) -> list[int]:
    """How many shots of each title are shown, so that all together are at most ``most``; the short ones whole.

    Raises:
        UsageError: that is less than one each.
    """
    if most < len(lengths):
        raise UsageError(
            f"{len(lengths)} titles do not fit in a page of {most} shots.", hint=f"Add --max-shots {sum(lengths)}"
        )
    shares = [0] * len(lengths)
    left = most
    for done, number in enumerate(sorted(range(len(lengths)), key=lambda number: lengths[number])):
        shares[number] = min(lengths[number], left // (len(lengths) - done))
        left -= shares[number]
    return shares


def _open_model(folder: Path) -> _Model:
    from mediafm_cli.model.config import count_parameters
    from mediafm_cli.model.folder import damaged, model_fingerprint, read_config
    from mediafm_cli.report.loss_curve import read_lines
    from mediafm_cli.train.run_folder import METRICS

    config = read_config(folder)
    record, shape = config.training, config.model
    sides = {title.title_id: title.split for title in record.titles}
    trained = len(record.title_ids("train"))
    facts = {
        "Recipe": record.recipe,
        "Step kept": f"{record.steps:,}",
        "Seed": str(record.seed),
        "Trained on": _count(trained, "title"),
        "Held out": _count(len(record.titles) - trained, "title"),
        "Size": f"{shape.layers} layers of {shape.hidden}, {count_parameters(shape):,} numbers",
        "Shots at once": f"{shape.max_shots:,}",
        "Position": shape.position,
        "Missing modality": shape.missing,
        "Fingerprint": model_fingerprint(folder)[:12],
    }
    try:
        metrics = read_lines(folder / METRICS) if (folder / METRICS).is_file() else []
    except (ValueError, RecursionError) as error:
        raise damaged(folder / METRICS, str(error)) from error
    shown = ReportModel(folder.resolve().name, {name: fact for name, fact in facts.items() if fact}, "", metrics)
    return _Model(shown, folder, model_fingerprint(folder), dict(sides))


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _find_embedding(store: Store, model: _Model) -> Embedding:
    """The embeddings by this model; of several those that bear its name."""
    names = [place.removeprefix("embeddings/") for place in store.places if place.startswith("embeddings/")]
    names.sort(key=lambda name: name != model.shown.name)
    for name in names:
        embedding = store.embedding(name)
        if embedding.model == model.fingerprint:
            words = ("mediafm", "embed", store.path, "--model", model.folder, "--name", name, "--overwrite")
            require_fresh(store, f"embeddings/{name}", embedding.made_from, command(*words))
            return embedding
    hint = f"Make them: {command('mediafm', 'embed', store.path, '--model', model.folder)}"
    raise StaleError(f"{store.path} has no embeddings by {model.folder}.", "It was not embedded by this model.", hint)


@dataclass
class _Reading:
    """One title while it is read; ``warnings`` fills up."""

    store: Store
    count: int
    media_folder: Path | None
    all_shots: int
    shots_before: int
    progress: OnProgress

    def __post_init__(self) -> None:
        self.warnings: list[str] = []

    def title(self, embedding: Embedding | None, parts: dict[str, str]) -> ReportTitle:
        store, n = self.store, self.count
        shots, fused, source = store.shots, store.fused, store.source
        media = self._find_media()
        pictures, pictures_note = self._pictures(media, shots)
        sound, sound_note = self._sound(media, shots)
        begins, transitions = self._boundaries()
        end_s = float(shots.end_s[n - 1])
        return ReportTitle(
            store.title_id,
            source.name,
            len(shots.start_s),
            shots.start_s[:n],
            shots.end_s[:n],
            [str(text) for text in shots.text[:n]],
            begins,
            transitions,
            [one for one in self._captions(shots) if one.start_s < end_s],
            shots.captions,
            shots.segmenter,
            fused.present[:n],
            pictures,
            pictures_note,
            sound,
            sound_note,
            fused.energy_share,
            fused.vectors[:n],
            None if embedding is None else embedding.shots[:n],
            parts.get(store.title_id, ""),
        )

    def _find_media(self) -> Path | None:
        try:
            return find_media(self.store.path, self.store.source, self.store.shots, self.media_folder)
        except (MediaError, StaleError) as error:
            self.warnings.append(str(error))
            return None

    def _pictures(self, media: Path | None, shots: Shots) -> tuple[list[bytes | None], str]:
        """A JPEG of the middle of each shot, from the media file or from what was kept of it."""
        spans = shots.spans[: self.count]
        pictures: list[bytes | None] = [None] * len(spans)
        most = bytes_a_picture(self.all_shots)
        stream, fingerprint = shots.video_stream, self.store.source.fingerprint
        if media:
            frames, note = sample_frames(media, spans, Frames(1, LARGEST_SIDE), stream), "Pictures: the media file."
        else:
            frames = read_kept_pictures(self.store.path, fingerprint, stream, spans)
            note = "Pictures: frames kept beside the store, for the media file was not found unchanged."
        try:
            for number, found in frames:
                pictures[number] = None if found is None else encode_picture(found[0], most)
                self.progress(Progress(self.shots_before + number + 1, self.all_shots, "shots"))
        except MediaError as error:
            self.warnings.append(str(error))
        if not any(pictures):
            note = "No pictures: neither the media file, unchanged, nor frames kept beside the store can be read."
        return pictures, note

    def _sound(self, media: Path | None, shots: Shots) -> tuple[Sound | None, str]:
        if shots.audio_stream < 0:
            return None, "The title has no sound."
        if media is None:
            return None, "No waveform: the media file was not found unchanged."
        end_s = float(shots.end_s[self.count - 1])
        parts = divide(end_s)
        try:
            kept = open_kept_sound(self.store.path, self.store.source.fingerprint, shots.audio_stream)
            sound = measure_sound(read_spans(media, parts, RATE, shots.audio_stream, kept), len(parts), end_s)
        except MediaError as error:
            self.warnings.append(str(error))
            return None, "No waveform: the sound of the media file cannot be read."
        return sound, "" if sound else "The sound of the title is empty."

    def _boundaries(self) -> tuple[list[str], dict[int, tuple[float, float]]]:
        if "boundaries" not in self.store:
            return [""] * self.count, {}
        group = self.store.boundaries
        begins = [str(kind) for kind in group.kind[: self.count]]
        gradual = [shot for shot, kind in enumerate(begins) if kind == "gradual"]
        return begins, {shot: (float(group.first_s[shot]), float(group.last_s[shot])) for shot in gradual}

    def _captions(self, shots: Shots) -> Iterator[Caption]:
        """The cues, or the texts of the shots in a store that was made before cues were kept."""
        if "cues" in self.store:
            cues = self.store.cues
            for start_s, end_s, text, sound in zip(cues.start_s, cues.end_s, cues.text, cues.sound, strict=True):
                yield Caption(float(start_s), float(end_s), str(text), bool(sound))
            return
        for start_s, end_s, text in zip(shots.start_s, shots.end_s, shots.text, strict=True):
            if str(text).strip():
                yield Caption(float(start_s), float(end_s), str(text))
