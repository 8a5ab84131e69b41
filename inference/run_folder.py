"""Where the results of a model lie: the output folder itself, or a folder of their own beside another model's."""

import json
from typing import Final

import yaml

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.recipe import Recipe

CARD: Final = "model.json"
"""The card of the model whose results a folder holds."""
_OTHERS: Final = "models"


def run_folder(out: str, model_id: str) -> str:
    """The folder for the results of one model; two models never share one.

    The first model of an output folder has the folder itself, each further one `OUT/models/MODEL_ID`.

    Args:
        out: URI of the output folder.
        model_id: of the model.

    Returns:
        Its URI; it need not exist.
    """
    store = Store(out)
    return store.uri if _model_of(store) in (None, model_id) else f"{store.uri}/{_OTHERS}/{model_id}"


def runs_in(out: str) -> dict[str, str]:
    """The folders of all models with results in an output folder, by model id; the first model comes first."""
    store = Store(out)
    stores = [store, *(Store(f"{store.uri}/{_OTHERS}/{name}") for name in store.names(_OTHERS))]
    found = ((_model_of(each), each.uri) for each in stores)
    return {model_id: uri for model_id, uri in found if model_id is not None}


def find_run(out: str, model_id: str | None = None) -> str:
    """The one folder of results that is meant.

    Args:
        out: an output folder of `infer`, or the folder of one of its models.
        model_id: which model; None where there is only one.

    Raises:
        UsageError: no results there, not of this model, or of several.
    """
    runs = runs_in(out)
    if not runs:
        raise UsageError(f"{out} holds no predictions; give the --out folder of histospark infer")
    if model_id is None and len(runs) > 1:
        raise UsageError(f"{out} holds results of {len(runs)} models; choose one by --model-id: {', '.join(runs)}")
    chosen = next(iter(runs)) if model_id is None else model_id
    if chosen not in runs:
        raise UsageError(f"{out} holds no results of the model {chosen}; there are {', '.join(runs)}")
    return runs[chosen]


def saved_recipe(run: Store) -> Recipe:
    """The recipe that `infer` left in its run folder, on whatever file system.

    Raises:
        UsageError: no predictions there, or the recipe cannot be read.
    """
    if not run.exists("recipe.yaml"):
        raise UsageError(f"{run.uri} holds no predictions; give the --out folder of histospark infer")
    try:
        return Recipe.model_validate(yaml.safe_load(run.read_bytes("recipe.yaml")))
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"recipe.yaml of {run.uri} is damaged or of another version; run infer again") from error


def _model_of(store: Store) -> str | None:
    """None where no run has begun. Only the name is read, so that a card of another version does not matter."""
    if not store.exists(CARD):
        return None
    try:
        return str(json.loads(store.read_bytes(CARD))["model_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{store.uri}/{CARD} is no model card; restore it, or choose another folder") from error
