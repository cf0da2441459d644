"""Model artefacts on disk: `models/<use_case>/<version>/` with the model, its parameters and its card.

The file is a pickle, so it is loaded only if its SHA-256 is the one that the warehouse recorded when it
was trained.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models_ml.model import RiskModel
from stores.files import written_atomically
from stores.home import Home

MODEL_FILE = "model.pickle"
PARAMETERS_FILE = "parameters.json"
CARD_FILE = "card.md"


class ModelArtefactError(RuntimeError):
    """A model file is missing, or is not the one that was trained."""


def model_folder(home: Home, use_case: str, version: str) -> Path:
    return home.models / use_case / version


def save_model(
    home: Home, use_case: str, version: str, model: RiskModel, parameters: Mapping[str, Any], card: str
) -> str:
    """Write model, parameters and card; return the model file's SHA-256."""
    folder = model_folder(home, use_case, version)
    content = pickle.dumps(model, protocol=5)
    digest = hashlib.sha256(content).hexdigest()
    for name, data in (
        (MODEL_FILE, content),
        (PARAMETERS_FILE, json.dumps({**parameters, "sha256": digest}, indent=2, sort_keys=True).encode()),
        (CARD_FILE, card.encode()),
    ):
        with written_atomically(folder / name) as aside:
            aside.write_bytes(data)
    return digest


def load_model(home: Home, use_case: str, version: str, sha256: str) -> RiskModel:
    """Load a model. Raises `ModelArtefactError` if it is missing or its content is not what was recorded."""
    path = model_folder(home, use_case, version) / MODEL_FILE
    if not path.is_file():
        raise ModelArtefactError(f"{path}: no such model. Train it again with `doorstep refresh`.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelArtefactError(f"{path}: not the file that was trained. Remove its folder and train again.")
    model = pickle.loads(content)  # noqa: S301 - its digest was just checked
    if not isinstance(model, RiskModel):
        raise ModelArtefactError(f"{path}: holds no risk model. Remove its folder and train again.")
    return model
