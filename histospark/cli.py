"""The command line `histospark`: one group, each command defined by the room that does the work."""

import importlib
import keyword
import sys
from typing import Final

import click

from cluster.entry import run_command

# Loaded only when called: tiling must not import TensorFlow, nor training a slide library.
_COMMANDS: Final = {
    "demo": ("histospark.demo", "The whole way on slides it draws itself."),
    "inspect": ("preprocessing.inspection", "What a slide is: vendor, levels, mpp, problems."),
    "tile": ("preprocessing.job", "Cut slides into a patch table."),
    "manifest": ("preprocessing.datasets.manifest_job", "List a published data set as a manifest of slides."),
    "mammograms": ("preprocessing.mammograms.job", "Bring mammograms (CBIS-DDSM) to one size, with masks."),
    "import": ("preprocessing.importing.job", "Bring patches that others have cut into a patch table."),
    "train": ("training.job", "Train a model on a patch table."),
    "infer": ("inference.job", "Run a model over slides: predictions, heatmaps, slide scores."),
    "evaluate": ("inference.evaluate", "Compare predictions with the annotations beside the slides."),
    "mine": ("inference.points.mine", "Make hard negatives of a run's false positives."),
    "proliferation": ("inference.proliferation.job", "Grade slides by how many mitoses a run has found where."),
    "refresh": ("inference.refreshing.refresh", "Do what is new in a folder of slides; what a scheduler calls."),
    "lab": ("inference.lab.lab", "Look at a run in the browser."),
    "submit": ("histospark.submit", "Send tile, infer or refresh to a cluster, with all that they need."),
    "status": ("preprocessing.status", "The ledger, for people."),
}


class _Rooms(click.Group):
    """Commands by name; the module of a command is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.command(cls=_Rooms, no_args_is_help=True)
@click.version_option(package_name="histospark")
def histospark() -> None:
    """Whole slides to patch tables, models and heatmaps, on a Spark cluster."""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_command(histospark))
