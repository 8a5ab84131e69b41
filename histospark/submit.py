"""`histospark submit JOB`: a job over slides on a cluster whose nodes have Spark and nothing of ours."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import click

from cluster.code_archive import code_archive
from cluster.errors import UsageError
from cluster.packing import packed_environment
from cluster.spark_home import find_spark_submit
from cluster.submit import Shipment, Target, spark_submit_command
from cluster.submitted import run_here, run_on_cluster
from histospark.submit_engines import engines_of, environment_for
from inference.engines.forms import checked_forms
from inference.job import refuse_other_geometry
from inference.model_source import local_model
from preprocessing.readers.staged import is_elsewhere
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from training.card import card_path, load_card

_JOBS: Final = {
    "tile": "preprocessing.job",
    "infer": "inference.job",
    "refresh": "inference.refreshing.refresh",
}


class _Jobs(click.Group):
    """The jobs over slides, each with its own options and those of a cluster."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_JOBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _JOBS:
            return None
        job: click.Command = getattr(import_module(_JOBS[cmd_name]), cmd_name)
        own = [parameter for parameter in job.params if parameter.name != "master"]
        send = partial(_send, job, own)
        return click.Command(cmd_name, params=[*_cluster_options(), *own], callback=send, help=job.help)


@click.command(cls=_Jobs, no_args_is_help=True)
def submit() -> None:
    """Send a job to a cluster, with the Python and the libraries it needs."""


def _cluster_options() -> list[click.Option]:
    return [
        click.Option(["--master"], required=True, help="yarn, or spark://HOST:PORT."),
        click.Option(
            ["--deploy-mode"],
            type=click.Choice(["client", "cluster"]),
            default="client",
            show_default=True,
            help="Where the driver runs: here, or on a node of YARN.",
        ),
        click.Option(["--spark-home"], help="The Spark that submits; default: SPARK_HOME, the PATH, pip's."),
        click.Option(["--spark-conf"], multiple=True, metavar="KEY=VALUE", help="A setting of Spark."),
        click.Option(["--properties-file"], metavar="FILE", help="Settings of Spark (see conf/spark/)."),
        click.Option(["--queue"], help="Queue of YARN."),
    ]


def _send(
    job: click.Command,
    parameters: Sequence[click.Parameter],
    *,
    master: str,
    deploy_mode: Any,
    spark_home: str | None,
    spark_conf: tuple[str, ...],
    properties_file: str | None,
    queue: str | None,
    **options: Any,
) -> int:
    """Check what can be checked here, pack, submit, wait; the exit code is the job's."""
    settings = None if properties_file is None else ours_or_given(properties_file, "--properties-file")
    target = Target(master, deploy_mode, spark_conf, settings, queue)
    recipe_file = ours_or_given(str(options["conf"]), "--conf")
    recipe = load_recipe(str(recipe_file), options["overrides"])
    model = options.get("model")
    model_files = () if model is None else files_of_model(recipe, model)
    spark = find_spark_submit(spark_home)
    environment = packed_environment(environment_for(engines_of(recipe, model_files, target)))

    options |= {"conf": recipe_file, **whole_paths(options)}
    sent: dict[str, tuple[Path, ...]] = {}
    if not target.driver_is_here:
        sent["conf"] = (recipe_file,)
        if model is not None and not is_elsewhere(model):
            sent["model"] = model_files
        options |= {name: of_option[0].name for name, of_option in sent.items()}
    beside = tuple(file.absolute() for of_option in sent.values() for file in of_option)
    shipment = Shipment(environment, code_archive(), _module_file(str(job.name)), beside)
    words = arguments_of(parameters, options)
    command = spark_submit_command(spark.program, target, shipment, f"histospark {job.name}", words)
    return (run_here if target.driver_is_here else run_on_cluster)(command, spark)


def ours_or_given(name: str, option: str) -> Path:
    """A file as it is named, or the one of that name among ours: `conf/demo.yaml` without a checkout.

    Raises:
        UsageError: there is neither.
    """
    given = Path(name)
    if given.is_file():
        return given
    inside = given.parts[1:] if given.parts[:1] == ("conf",) else given.parts
    ours = Path(str(files("conf").joinpath(*inside)))
    if given.is_absolute() or not ours.is_file():
        raise UsageError(f"{option} {name}: there is no such file, here or in HistoSpark's conf/")
    return ours


def files_of_model(recipe: Recipe, model: str) -> tuple[Path, ...]:
    """The model with its card and the forms that the recipe may use, checked as the job itself does.

    Args:
        recipe: of the job.
        model: path or URI of the `.keras` file. Of one elsewhere the copies were needed here for the check only.

    Raises:
        UsageError: a part is missing, or they do not belong together or to the recipe.
    """
    with local_model(model) as file:
        card = load_card(file)
        refuse_other_geometry(card, recipe)
        forms = checked_forms(recipe.inference, file, card)
        return (file, card_path(file), *forms.openvino, *forms.onnx)


def whole_paths(options: dict[str, Any]) -> dict[str, str]:
    """Slides and output by their whole path: workers, and a driver on a node, start in other folders."""
    given = {name: str(options[name]) for name in ("slides", "out")}
    return {name: path if "://" in path else str(Path(path).absolute()) for name, path in given.items()}


def arguments_of(parameters: Sequence[click.Parameter], options: dict[str, Any]) -> list[str]:
    """The command line that gives a job these options."""
    words = []
    for parameter in parameters:
        value = options[str(parameter.name)]
        values = value if parameter.multiple else () if value is None else (value,)
        for each in values:
            words += [max(parameter.opts, key=len), str(each)]
    return words


def _module_file(job: str) -> Path:
    return Path(str(import_module(_JOBS[job]).__file__))
