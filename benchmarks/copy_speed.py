"""256 px tiles of big slides, copied undecoded: against hs2p, which decodes and encodes them.

    python -m benchmarks.copy_speed [--rounds 5]

The same slides, tissue rule and counting as in `tiling_speed`; `image.copy_tiles` is on, and a slide is one unit of
work, whose 2,050 copied tiles are 45 MB.
"""

from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.big_slides import Slides
from benchmarks.options import paired_options
from benchmarks.pairs import in_turn, measured, ratio
from benchmarks.peers import hs2p_session, peers_python
from benchmarks.report import Bar, say
from benchmarks.sessions import our_session
from benchmarks.tiling_speed import HS2P, OURS

COPY = {**OURS, "set": ["tiling.image.copy_tiles=true", "tiling.blocks_per_shard=64"]}


@click.command()
@paired_options
def main(cache: Path, rounds: int, peers: Path) -> None:
    """Print tiles per second and the ratio."""
    python, slides, work = peers_python(peers), Slides(cache), cache / "work"
    eight, two_tiny = slides.big(8), slides.tiny(2)
    with ExitStack() as stack:
        ours = stack.enter_context(our_session(2, work / "ours"))
        hs2p = stack.enter_context(hs2p_session(python, 2, work / "hs2p"))
        ours.warm(two_tiny, **COPY)
        hs2p.warm(two_tiny, **HS2P)
        runs = in_turn(
            {
                "ours, tiny": lambda: ours.tile(two_tiny, **COPY),
                "hs2p, tiny": lambda: hs2p.tile(two_tiny, **HS2P),
                "ours": lambda: ours.tile(eight, **COPY),
                "hs2p": lambda: hs2p.tile(eight, **HS2P),
            },
            rounds,
        )
    copied, encoded = measured(runs, "ours", "ours, tiny"), measured(runs, "hs2p", "hs2p, tiny")
    click.echo("256 px tiles of eight 16384 px slides, copied; 2 cores; median (lowest to highest)")
    say("start-up taken off: ours, hs2p (s)", f"{ours.start_up:.1f}, {hs2p.start_up:.1f}")
    for name, way in (("ours, copied", copied), ("hs2p, re-encoded", encoded)):
        say(name, way)
    Bar("copied by us / re-encoded by hs2p", ratio(copied, encoded), 20).tell()


if __name__ == "__main__":
    main()
