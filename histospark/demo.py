"""`histospark demo`: the whole way of a recipe in minutes, on data that is drawn in its published layout."""

from importlib import import_module
from pathlib import Path
from typing import Final

import click

from cluster.errors import ExitCode, UsageError
from histospark.demos.steps import shipped_recipe

_DEMOS: Final = {
    "demo": "histospark.demos.slides",
    "liu": "histospark.demos.liu",
    "pcam": "histospark.demos.pcam",
    "tupac16": "histospark.demos.tupac16",
    "tupac16_mitoses": "histospark.demos.mitoses",
    "mammography": "histospark.demos.mammography",
}
"""By recipe: a module with `OVERRIDES`, what a demo changes of it, and `run(recipe, out, master)`."""


@click.command()
@click.option("--recipe", default="demo", show_default=True, help=f"One of {', '.join(_DEMOS)}.")
@click.option("--out", default=None, type=click.Path(path_type=Path), help="Output folder; default: RECIPE-out.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@click.option("--master", default=None, help="Spark master; default: all local cores.")
def demo(recipe: str, out: Path | None, overrides: tuple[str, ...], master: str | None) -> ExitCode:
    """Draw data, make patches of it, train a model, and judge it on what it never saw."""
    if recipe not in _DEMOS:
        raise UsageError(f"--recipe {recipe}: there is a demo of {', '.join(_DEMOS)}")
    module = import_module(_DEMOS[recipe])
    loaded = shipped_recipe(recipe, (*module.OVERRIDES, *overrides))
    for change in module.OVERRIDES:
        click.echo(f"for these minutes: {change}")
    module.run(loaded, out or Path(f"{recipe}-out"), master)
    return ExitCode.GOOD
