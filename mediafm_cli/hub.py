"""Where the weights of an encoder come from: a repository on the Hugging Face hub, or a folder of the same files.

Nothing that a repository holds is run: weights are safetensors, else PyTorch files that are read as plain tensors
(``weights_only``), and remote code stays off. What identifies weights is the hash of the files, so that a folder and
the repository that it was copied from are the same encoder, and an edited README of a repository changes nothing.

An encoder plugin may import this module; it imports the hub's client only where it is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediafm_cli.errors import UnavailableError, UsageError, command

SAFE_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")
CONFIGURATION = ("*.json", "*.txt", "*.model", "*/config.json")
_NO_CODE = "Code that comes with a model is never run; choose a model that transformers knows by itself."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


def fetch_model(name: str, revision: str | None = None) -> Path:
    """The folder with a model's files: ``name`` itself where it is a folder, else the hub's, fetched once and kept.

    Args:
        name: a folder, or a repository such as ``facebook/wav2vec2-base-960h``.
        revision: a branch, tag or commit of the repository; its main branch otherwise.

    Raises:
        UnavailableError: there is no such folder or repository, the hub cannot be reached, or weights are missing.
    """
    folder = _fetch(name, revision, [*CONFIGURATION, *SAFE_WEIGHTS])
    if not find_weights(folder):
        folder = _fetch(name, revision, [*CONFIGURATION, *PICKLED_WEIGHTS])
    missing = ["config.json"] * (not (folder / "config.json").is_file()) + ["model.safetensors"] * (
        not find_weights(folder)
    )
    if missing:
        raise _unavailable(name, f"Missing in {folder}: {', '.join(missing)}.", revision)
    return folder


def fetch_file(name: str, *files: str, revision: str | None = None) -> Path:
    """The first of ``files`` that a folder or a repository has; arguments and errors as for ``fetch_model``."""
    for file in files:
        folder = _fetch(name, revision, [file])
        if (folder / file).is_file():
            return folder / file
    raise _unavailable(name, f"Missing in {folder}: {' or '.join(files)}.", revision)


def fetch_folder(name: str, *files: str, revision: str | None = None, **options: Any) -> Path:
    """The folder with those of ``files`` that a folder or repository has; arguments and errors as for ``fetch_model``.

    Args:
        options: of ``huggingface_hub.snapshot_download``.
    """
    return _fetch(name, revision, files, **options)


def load_config(folder: Path) -> Any:
    """The configuration of a transformers model, by the class that transformers has for its type.

    Raises:
        UnavailableError: it is damaged, or of a model that needs code of its own.
    """
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, OSError, KeyError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}."
        raise UnavailableError(
            f"{folder / 'config.json'} does not describe a model that transformers knows.", why, _NO_CODE
        ) from error


def load_model(folder: Path, config: Any = None, kind: str = "AutoModel", *, unused: Sequence[str] = ()) -> Any:
    """A transformers model, in fp32 on the CPU, ready for inference.

    Args:
        kind: name of a class of transformers.
        unused: parts of the names of parameters that nobody reads, so that a checkpoint may lack them.

    Raises:
        UnavailableError: the checkpoint lacks weights; transformers would put random ones in their place.
    """
    import torch
    import transformers

    with _quiet_transformers():
        model, report = getattr(transformers, kind).from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sorted(name for name in report["missing_keys"] if not any(part in name for part in unused))
    if missing:
        why = f"It has none for {', '.join(missing[:3])}{' and others' * (len(missing) > 3)}."
        raise UnavailableError(f"{folder} lacks weights of the model.", why, "Fetch it again, or name another model.")
    return model.eval().requires_grad_(False)


def load_processor(folder: Path, kind: str) -> Any:
    """What prepares a transformers model's input.

    Args:
        kind: name of a class of transformers: ``AutoTokenizer``, ``AutoFeatureExtractor``.

    Raises:
        UnavailableError: its files are missing or damaged, or it needs code of its own.
    """
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, OSError, KeyError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}."
        raise UnavailableError(f"{folder} has nothing that prepares the model's input.", why, _NO_CODE) from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar, and no table of the weights that another head of the model would use."""
    from transformers.utils import logging

    level, shows_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shows_bars:
            logging.enable_progress_bar()


def find_configuration(folder: Path) -> list[Path]:
    """The files in a model's folder that say how its weights are used; sorted by name."""
    return sorted(file for pattern in CONFIGURATION[:3] for file in folder.glob(pattern))


def find_weights(folder: Path) -> list[Path]:
    """The files of weights in a model's folder: the safetensors, else the PyTorch ones; sorted by name."""
    for patterns in (SAFE_WEIGHTS, PICKLED_WEIGHTS):
        found = sorted(file for pattern in patterns for file in folder.glob(pattern))
        if found:
            return found
    return []


def sha256_of_files(files: Sequence[Path]) -> str:
    """One hash over the names and contents of those of ``files`` that there are, whatever folder they are in."""
    digest = hashlib.sha256()
    for file in sorted((file for file in files if file.is_file()), key=lambda file: file.name):
        digest.update(f"{file.name} {sha256_of_file(file)}\n".encode())
    return digest.hexdigest()


def sha256_of_file(file: Path) -> str:
    """The hash of a file's content. The hub's cache names a large file by it, and is taken at its word."""
    stored_as = file.resolve().name
    if _SHA256.fullmatch(stored_as) and file.resolve().parent.name == "blobs":
        return stored_as
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch(name: str, revision: str | None, patterns: Sequence[str], **options: Any) -> Path:
    """The folder ``name``, or that of the hub's cache once it has the files of these patterns."""
    from huggingface_hub import snapshot_download

    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            what = f"{name} is a folder, and a folder has no revision {revision!r}."
            raise UsageError(what, hint="Leave the revision away, or name a repository on the hub.")
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or not 0 < name.count("/") < 2:
        raise UnavailableError(f"There is no folder {name}.", "Neither can it be the name of a repository on the hub.")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), **options))
    except _hub_errors() as error:
        wanted = patterns[0] if len(patterns) == 1 else "config.json, model.safetensors"
        why = f"{wanted}: not on this machine, and {_reason(error)}."
        raise _unavailable(name, why, revision, patterns) from error


def _hub_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HFValidationError

    return (HFValidationError, OSError)  # OSError: what is not there, not allowed, or not reached


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    match error:
        case HFValidationError():
            return "the name is not that of a repository"
        case LocalEntryNotFoundError():
            return "the hub cannot be reached"
        case GatedRepoError():
            return "the hub asks for an account that has been granted access (set HF_TOKEN)"
        case RepositoryNotFoundError():
            return "the hub has no such repository"
        case RevisionNotFoundError():
            return "the repository has no such revision"
    return f"the hub says: {' '.join(str(error).split())[:300]}"


def _unavailable(
    name: str, why: str, revision: str | None = None, patterns: Sequence[str] = ("*.json", "*.safetensors")
) -> UnavailableError:
    what, offline = f"The weights of {name} cannot be found.", "The encoders of --preset offline need none."
    if Path(name).expanduser().is_dir():
        return UnavailableError(what, why, f"Copy the folder again, with all that it had. {offline}")
    if all(pattern.endswith(".json") for pattern in patterns):
        patterns = [*CONFIGURATION, "*.safetensors"]  # the weights that a config describes are asked for next
    wanted = dict.fromkeys(["*.json", *patterns])
    pinned = ["--revision", revision] if revision else []
    elsewhere = command("hf", "download", name, *(word for one in wanted for word in ("--include", one)), *pinned)
    folder = f"--local-dir {Path(name).name}, and --opt model={Path(name).name}{' without a revision' * bool(revision)}"
    hint = f"Where there is a network: {elsewhere}. Then copy its cache (HF_HOME) here; or add {folder}. {offline}"
    return UnavailableError(what, why, hint)
