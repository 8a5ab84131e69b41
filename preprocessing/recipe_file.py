"""Recipes on disk: YAML in, overrides from the command line, the effective recipe out."""

import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from cluster.errors import UsageError
from cluster.storage import Store
from preprocessing.recipe import Recipe


def load_recipe(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and check every key and value of it.

    Args:
        path: a YAML file.
        overrides: `key=value` with dots for groups, e.g. `tiling.stride=25`; the value is YAML.

    Raises:
        UsageError: no such file, no YAML, an unknown key (the nearest known one is named), a bad value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"recipe {path} cannot be read: {error.strerror or error}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"recipe {path} holds no settings; start from one in conf/")
    for override in overrides:
        _apply(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"recipe {path}: {_first_fault(error)}") from error


def save_recipe(recipe: Recipe, folder: str) -> None:
    """Write the effective recipe as `recipe.yaml` beside an output.

    Args:
        recipe: with all defaults and overrides filled in.
        folder: URI of the output.
    """
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    note = f"# The effective recipe of this output, recipe_id {recipe.recipe_id}.\n"
    Store(folder).write_bytes((note + text).encode(), "recipe.yaml")


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {override}: write it as key=value, e.g. tiling.stride=25")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {override}: the value is not YAML: {' '.join(str(error).split())}") from error
    *groups, last = key.strip().split(".")
    place = content
    for group in groups:
        inner = place.setdefault(group, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {override}: {group} is not a group of settings")
        place = inner
    place[last] = parsed


def _first_fault(error: ValidationError) -> str:
    """One fault in one line: an unknown key first, since it often explains the others."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key}{_suggestion(key)}"
    if fault["type"] == "missing":
        return f"key {key} is missing"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {message}{more}" if key else f"{message}{more}"


def _suggestion(key: str) -> str:
    known = list(_known_keys(Recipe))
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not nearest:  # right name, wrong group
        by_name = {name.rpartition(".")[2]: name for name in known}
        nearest = [by_name[name] for name in difflib.get_close_matches(key.rpartition(".")[2], by_name, n=1)]
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _known_keys(model: type[BaseModel], prefix: str = "") -> typing.Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key
        for inner in _models_in(field.annotation):
            yield from _known_keys(inner, f"{key}.")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
