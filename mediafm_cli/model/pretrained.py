"""A model that goes to and from folders and the Hugging Face hub, by the names that huggingface_hub gives to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import ModelCard, ModelHubMixin
from torch import nn

from mediafm_cli.errors import TrainingError, UnavailableError, command
from mediafm_cli.hub import fetch_folder

if TYPE_CHECKING:
    from mediafm_cli.model.config import ModelConfig
    from mediafm_cli.model.folder import TrainingRecord
    from mediafm_cli.model.transformer import MediaFM

HUB = "hf-hub:"
"""Before the name of a repository, where a folder is meant otherwise."""


class Pretrained(nn.Module, ModelHubMixin):
    """What ``MediaFM`` has of huggingface_hub.

    ``save_pretrained(folder)`` writes a model folder with its card, and ``push_to_hub("OWNER/NAME")`` the same to the
    hub; ``model_card_kwargs={"license": "apache-2.0"}`` states a licence. ``config.json`` names the titles of the
    training.

    Attributes:
        record: what the model was made of; None for one that was not loaded from a folder.
    """

    config: ModelConfig
    record: TrainingRecord | None = None

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        device: torch.device | str = "cpu",
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> MediaFM:
        """The trained model of a folder or of a repository on the hub, ready to embed (``eval``).

        Args:
            pretrained_model_name_or_path: a folder, or ``OWNER/NAME``, of which two files are fetched and kept.
            revision: a branch, tag or commit of the repository; its main branch otherwise.
            token, cache_dir, force_download, local_files_only: as everywhere in huggingface_hub.

        Raises:
            TrainingError: there is no such model, the hub cannot be reached, or the model is damaged or untrained.
            UsageError: a folder was asked for a revision.
        """
        from mediafm_cli.model.folder import load_model

        options = {
            "token": token,
            "cache_dir": cache_dir,
            "force_download": force_download,
            "local_files_only": local_files_only,
        }
        name = str(pretrained_model_name_or_path).removeprefix(HUB)
        return load_model(fetch_model_folder(name, revision, **options), device)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the model folder; of a card that is in it, the generated part is written anew, and the rest stays.

        Args:
            options: of huggingface_hub; ``push_to_hub=True`` also uploads what was written.

        Raises:
            TrainingError: the model was never trained, or the folder cannot be written.
        """
        from mediafm_cli.model.card import renew_card

        renew_card(Path(save_directory), self.config, self._trained())
        return super().save_pretrained(save_directory, **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload the model folder; the address of the commit.

        Raises:
            TrainingError: the model was never trained; nothing is made on the hub.
        """
        self._trained()
        return super().push_to_hub(repo_id, **options)

    def generate_model_card(self, *args: Any, license: str | None = None, **kwargs: Any) -> ModelCard:
        """The card of the model; see ``mediafm_cli.model.card``."""
        from mediafm_cli.model.card import model_card

        return ModelCard(model_card(self.config, self._trained(), license=license))

    def _save_pretrained(self, save_directory: Path) -> None:
        from mediafm_cli.model.folder import save_model

        save_model(save_directory, self.config, self.state_dict(), self._trained())

    def _trained(self) -> TrainingRecord:
        if self.record is None or self.record.steps == 0:
            why = "A model folder says what its model was trained on, and this one was not trained."
            hint = "Train one: mediafm pretrain STORES -o MODEL. One that was trained otherwise needs its record set."
            raise TrainingError("The model cannot be saved.", why, hint)
        return self.record


def find_model(model: Path) -> Path:
    """The folder of a model as it is named in a shell: a folder, or ``hf-hub:OWNER/NAME``; raises as above."""
    name = str(model)
    return fetch_model_folder(name.removeprefix(HUB)) if name.startswith(HUB) else model


def fetch_model_folder(name: str, revision: str | None = None, **options: Any) -> Path:
    """The model folder ``name``, or that of the repository of this name on the hub; see ``from_pretrained``."""
    from mediafm_cli.model.folder import CONFIG, WEIGHTS

    try:
        return fetch_folder(name, CONFIG, WEIGHTS, revision=revision, **options)
    except UnavailableError as error:
        pinned = ["--revision", revision] if revision else []
        fetch = command("hf", "download", name, *pinned, "--local-dir", Path(name).name)
        hint = f"Train one: mediafm pretrain STORES -o MODEL; or fetch one where there is a network: {fetch}"
        raise TrainingError(f"There is no model {name}.", error.why, hint) from error
