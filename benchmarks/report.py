"""What a benchmark says: figures, and each ratio with its bar."""

from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Bar:
    """A ratio and the least that it should be.

    Attributes:
        what: for people.
        ratio: measured.
        least: wanted.
    """

    what: str
    ratio: float
    least: float

    @property
    def is_met(self) -> bool:
        """Whether the ratio reaches the bar."""
        return self.ratio >= self.least

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "NOT MET"
        return f"{self.what}: {self.ratio:.2f} (bar {self.least:g}, {verdict})"


def say(name: str, figure: object) -> None:
    """One line of the table."""
    click.echo(f"  {name:<58} {figure}")
