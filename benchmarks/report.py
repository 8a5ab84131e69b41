"""What a benchmark says: figures, and each ratio with its bar."""

from dataclasses import dataclass

import click

from benchmarks.pairs import Spread


@dataclass(frozen=True)
class Bar:
    """A ratio and the least that it should be.

    Attributes:
        what: for people.
        ratio: measured; its median is judged.
        least: wanted.
    """

    what: str
    ratio: Spread
    least: float

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the bar."""
        return self.ratio.middle >= self.least

    def tell(self) -> None:
        """One line of the table."""
        say(self.what, f"{self.ratio}, bar {self.least:g}: {'met' if self.is_met else 'NOT MET'}")


def say(what: str, figure: object) -> None:
    """One line of the table."""
    click.echo(f"  {what:<52} {figure}")
