"""What commands print for people: colored and fitted to a terminal, plain lines as wide as they need in a pipe."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH: Final = 100_000  # columns; nothing is wrapped or cut that another program is to read


def terminal() -> Console:
    """Standard output: its width and colors where it is a terminal (`NO_COLOR` is honored), else without either."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def show(page: Iterable[RenderableType], console: Console) -> None:
    """Print the parts of a page one below the other."""
    for part in page:
        with console.capture() as captured:
            console.print(part)
        # Cells are padded to their column; at the end of a line that is only noise.
        console.file.write("".join(f"{line.rstrip(' ')}\n" for line in captured.get().splitlines()))
    console.file.flush()


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], numbers: Iterable[str] = (), head: bool = True
) -> Padding:
    """An indented table without lines.

    Args:
        columns: the heads.
        rows: the cells.
        numbers: columns that stand to the right and are never cut.
        head: show the heads.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=head)
    numbers = set(numbers)
    for name in columns:
        right = name in numbers
        made.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return indented(made)


def indented(part: RenderableType, columns: int = 2) -> Padding:
    """Moved to the right, also where it is wrapped."""
    return Padding(part, (0, 0, 0, columns), expand=False)
