"""The model card: ``README.md`` of a model folder, as the Hugging Face hub shows it.

It is written from what ``config.json`` says, so the same model gets the same card. What its owner writes around the
generated part, and the front matter, stay when the model is replaced by another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from mediafm_cli.model.atomic import write_atomically
from mediafm_cli.model.config import ModelConfig, count_parameters
from mediafm_cli.model.folder import TrainingRecord

CARD = "README.md"
START = "<!-- mediafm writes from here to the next such line, and replaces it with the model. -->"
END = "<!-- mediafm writes to here. What stands below is yours, and stays. -->"
LIBRARY = "mediafm"
TAGS = ("embeddings", "mediafm", "multimodal", "video")

ABOUT = """\
A Transformer over the shots of a title, which is a film, an episode or a clip. It takes one fused vector a shot and
returns one that knows the shots around it, and a vector of the title as a whole. It was trained by masked shot
modelling with mediafm, an open implementation of the system that Netflix described as MediaFM in February 2026; it is
no model of Netflix."""

USE = """\
It understands stores that were encoded and fused as its own titles were (see Data), and no others. In Python:

```python
from pathlib import Path

from mediafm_cli.model.context import embed_title
from mediafm_cli.model.title import require_layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import open_title

model = MediaFM.from_pretrained("MODEL")  # this folder, or OWNER/NAME on the hub
layout, title = open_title(Path("stores/film.h5"))
require_layout(model.config.layout, layout, title.title_id)
embedding = embed_title(model, title.load())
print(embedding.shots.shape, embedding.title.shape)
```

In a shell; the embeddings go into the stores:

```bash
mediafm embed stores/ --model MODEL  # this folder, or hf-hub:OWNER/NAME
```"""

ABSENT = {
    "zero": "Where a modality is absent there are zeros, and the model sees them.",
    "null-token": "Where a modality is absent there are zeros; the model sees a learned vector in their place.",
    "masked": "Where a modality is absent there are zeros; the model sees what it sees of hidden ones.",
}

WITHOUT_GLOBAL = """\
The titles had metadata, and the model knows nothing of it: it was trained with `--no-global`."""

WITHOUT_RESULTS = """\
How well the model does on titles that it never learned from was not measured."""

RESULTS = """\
Of titles that the model never learned from, parts were hidden and predicted from the rest. Distance is the cosine
distance that is trained for; skill is the share of a baseline's distance that is gone with this model: 0 is no better,
1 perfect. The weights are the best ones of the run by this very distance, which makes it a little too good."""


def model_card(config: ModelConfig, record: TrainingRecord, *, license: str | None = None) -> str:
    """The card, Markdown after YAML front matter.

    Args:
        license: as the hub names it, such as ``apache-2.0``; without one the card says that there is none.
    """
    about = ModelCardData(
        library_name=LIBRARY, pipeline_tag="feature-extraction", tags=list(TAGS), license=license
    ).to_yaml()
    licence = f"`{license}`." if license else "None is stated. Its owner sets `license` on top of this file."
    parts = [f"---\n{about}\n---", f"{START}\n\n{_generated(config, record)}\n\n{END}", f"## Licence\n\n{licence}"]
    return "\n\n".join(parts) + "\n"


def _generated(config: ModelConfig, record: TrainingRecord) -> str:
    modalities = ", ".join(block.name for block in config.layout.blocks)
    sections = {
        "Use": USE,
        "Data": _data(config, record),
        "Results on held-out titles": _results(record.validation) if record.validation else WITHOUT_RESULTS,
        "Model": _model(config),
        "Training": _training(record),
    }
    parts = [f"# MediaFM over {_safe(modalities)}", ABOUT]
    return "\n\n".join([*parts, *(f"## {heading}\n\n{text}" for heading, text in sections.items())])


def renew_card(folder: Path, config: ModelConfig, record: TrainingRecord) -> bool:
    """Let the card in ``folder`` tell of this model; False where there is none.

    Only the generated part is replaced. A card without one is all its owner's, and stays as it is.
    """
    path = folder / CARD
    if not path.is_file():
        return False
    before, start, rest = path.read_bytes().partition(START.encode())
    _, end, after = rest.partition(END.encode())
    if start and end:
        generated = f"\n\n{_generated(config, record)}\n\n".encode()
        write_atomically(path, before + start + generated + end + after)
    return True


def _data(config: ModelConfig, record: TrainingRecord) -> str:
    layout = config.layout
    sides = {"trained on": "train", "held out": "validation"}
    counts = {name: [title.shots for title in record.titles if title.split == side] for name, side in sides.items()}
    titles = _table(
        ["", "titles", "shots"], [[name, f"{len(shots):,}", f"{sum(shots):,}"] for name, shots in counts.items()]
    )
    sources = [[block.name, block.encoder, block.fingerprint, str(block.stop - block.start)] for block in layout.blocks]
    if layout.metadata:
        sources.append(
            ["metadata, of the title", layout.metadata.encoder, layout.metadata.fingerprint, str(layout.metadata.dim)]
        )
    encoders = _table(
        ["modality", "encoder", "its fingerprint", "numbers"],
        [[name, encoder, fingerprint[:12], width] for name, encoder, fingerprint, width in sources],
    )
    fused = (
        f"A shot is the unit vector of its modalities, one after the other: {layout.width} numbers, fused with "
        f"`--normalize {_safe(layout.normalize)}`. {ABSENT[config.missing]}"
    )
    if layout.metadata and not config.global_token:
        fused += f"\n\n{WITHOUT_GLOBAL}"
    return "\n\n".join([titles, encoders, fused, "`config.json` names the titles."])


def _results(validation: Mapping[str, Any]) -> str:
    loss = validation["loss"]
    baselines = {
        "the mean vector of the training titles": validation["skill_over_mean"],
        "each hidden modality copied from the nearest shot that shows it": validation["skill_over_neighbour"],
    }
    rows = [["this model", f"{loss:.4f}", ""]]
    for name, skill in baselines.items():
        baseline = f"{loss / (1 - skill):.4f}" if skill < 1 else ""  # 1 - skill is the model's share of it
        rows.append([name, baseline, f"{skill:+z.3f}"])
    cosines = [[name, f"{cosine:.4f}"] for name, cosine in validation["cosine"].items()]
    distances = _table(["prediction", "distance", "skill of this model over it"], rows)
    return "\n\n".join([RESULTS, distances, _table(["modality", "cosine of prediction and truth"], cosines)])


def _model(config: ModelConfig) -> str:
    chosen = {field.name: getattr(config, field.name) for field in fields(config) if field.name != "layout"}
    return f"{count_parameters(config):,} numbers are learned.\n\n{_settings(chosen)}"


def _training(record: TrainingRecord) -> str:
    recipe = f"Recipe `{_safe(record.recipe)}`, " if record.recipe else ""
    versions = ", ".join(f"{_safe(name)} {_safe(version)}" for name, version in record.versions.items())
    what = f"{recipe}{record.steps:,} step{'' if record.steps == 1 else 's'}, seed {record.seed}; {versions}."
    return f"{what[0].upper()}{what[1:]}\n\n{_settings(record.settings)}"


def _settings(settings: Mapping[str, Any]) -> str:
    return _table(["setting", "value"], [[f"`{name}`", str(value)] for name, value in _flat(settings)])


def _flat(settings: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those of records in it by dotted names; what was not set is left out."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{name}.")
        elif value is not None:
            yield f"{place}{name}", value


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *([_safe(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _safe(text: str) -> str:
    """Names come from plugins: they break no table and start no markup."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
