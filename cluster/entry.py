"""How a command starts and ends: one line for a person, an exit code for a scheduler, the traceback in a log."""

import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

import click

from cluster.errors import ExitCode, JobError, UsageError


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command and turn every way it can end into an exit code.

    Args:
        command: returns an `ExitCode`, or None for 0.
        arguments: of the command line; None takes the process's own.

    Returns:
        0 good, 1 failed, 2 wrong use, 3 some slides failed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells errors only, here and in Spark's workers
    logging.getLogger("histospark").setLevel(logging.INFO)
    try:
        args = None if arguments is None else list(arguments)
        return int(command.main(args=args, standalone_mode=False) or ExitCode.GOOD)
    except UsageError as error:
        return _end(str(error), ExitCode.WRONG_USE)
    except click.ClickException as error:
        return _end(f"{error.format_message()} (see --help)", ExitCode.WRONG_USE)
    except JobError as error:
        return _end(str(error), ExitCode.FAILED)
    except (KeyboardInterrupt, click.Abort):
        return _end("stopped by the user; what was committed stays, the next run goes on from there", ExitCode.FAILED)
    except Exception as error:
        with tempfile.NamedTemporaryFile("w", prefix="histospark-", suffix=".log", delete=False) as log:
            log.write(traceback.format_exc())
        first_line = (str(error).strip() or "no message").splitlines()[0]
        return _end(f"{type(error).__name__}: {first_line}; the traceback is in {log.name}", ExitCode.FAILED)


def _end(message: str, code: ExitCode) -> int:
    click.echo(f"histospark: {' '.join(message.split())}", err=True)
    return int(code)
