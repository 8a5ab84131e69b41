"""How a command ends: the exit codes, and the one error that a person sees as a single line."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a scheduler learns from a finished command."""

    GOOD = 0
    FAILED = 1
    WRONG_USE = 2
    SOME_SLIDES_FAILED = 3


class UsageError(Exception):
    """Wrong use or a wrong recipe: one line with cause and remedy; nothing was started, exit code 2."""


class JobError(Exception):
    """The job could not be finished: one line with cause and remedy, exit code 1."""
