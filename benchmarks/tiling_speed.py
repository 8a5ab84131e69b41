"""256 px tiles of big slides, re-encoded: the whole Spark job against hs2p, and against the limit of the decoder.

    python -m benchmarks.tiling_speed [--rounds 5]

Slides of 16384 px, tissue by Otsu on the thumbnail, JPEG of quality 90 and 4:2:0 by libjpeg-turbo, everything from the
listing of the slides to the finished table (hs2p: tar). All ways run in turn in sessions that stay open (`sessions`).
"""

from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np

from benchmarks.big_slides import Slides
from benchmarks.limit import limit_session
from benchmarks.options import paired_options
from benchmarks.ours import TILES_256, tile_numbers
from benchmarks.pairs import in_turn, measured, ratio
from benchmarks.peers import hs2p_session, peers_python
from benchmarks.report import Bar, say
from benchmarks.sessions import our_session

MIN_TISSUE = 0.5  # as in the recipe
OURS = {"recipe": str(TILES_256)}
HS2P = {"workers": 2, "backend": "vips", "min_tissue": MIN_TISSUE}


@click.command()
@paired_options
def main(cache: Path, rounds: int, peers: Path) -> None:
    """Print tiles per second and ratios."""
    python, slides, work = peers_python(peers), Slides(cache), cache / "work"
    one, eight, tiny, two_tiny = slides.big(1), slides.big(8), slides.tiny(1), slides.tiny(2)
    numbers = work / "tissue_tiles.npy"
    work.mkdir(parents=True, exist_ok=True)
    np.save(numbers, tile_numbers(one[0], TILES_256, work / "numbers"))
    with ExitStack() as stack:
        ours = stack.enter_context(our_session(2, work / "ours"))
        ours_1 = stack.enter_context(our_session(1, work / "ours_1"))
        hs2p = stack.enter_context(hs2p_session(python, 2, work / "hs2p"))
        limit = stack.enter_context(limit_session(one[0], numbers, 1, work / "limit"))
        for session, settings in ((ours, OURS), (ours_1, OURS), (hs2p, HS2P)):
            session.warm(tiny, **settings)
        click.echo("256 px re-encode of 16384 px slides; tiles/s or ratio: median (lowest to highest)")
        say("start-up taken off: ours, hs2p (s)", f"{ours.start_up:.1f}, {hs2p.start_up:.1f}")
        runs = in_turn(
            {
                "ours, tiny": lambda: ours.tile(tiny, **OURS),
                "hs2p, tiny": lambda: hs2p.tile(tiny, **HS2P),
                "ours, one": lambda: ours.tile(one, **OURS),
                "hs2p, one": lambda: hs2p.tile(one, **HS2P),
                "ours, two tiny": lambda: ours.tile(two_tiny, **OURS),
                "hs2p, two tiny": lambda: hs2p.tile(two_tiny, **HS2P),
                "ours, eight": lambda: ours.tile(eight, **OURS),
                "hs2p, eight": lambda: hs2p.tile(eight, **HS2P),
                "ours on one core, tiny": lambda: ours_1.tile(tiny, **OURS),
                "ours on one core": lambda: ours_1.tile(eight, **OURS),
                "limit": lambda: limit.tile(()),
            },
            rounds,
        )
    our_one, peer_one = measured(runs, "ours, one", "ours, tiny"), measured(runs, "hs2p, one", "hs2p, tiny")
    our_eight = measured(runs, "ours, eight", "ours, two tiny")
    peer_eight = measured(runs, "hs2p, eight", "hs2p, two tiny")
    our_core, floor = measured(runs, "ours on one core", "ours on one core, tiny"), measured(runs, "limit")
    for name, way in (
        ("one slide, 2 cores: ours", our_one),
        ("one slide, 2 cores: hs2p", peer_one),
        ("eight slides, 2 cores: ours", our_eight),
        ("eight slides, 2 cores: hs2p", peer_eight),
        ("eight slides, 1 core: ours", our_core),
        ("decode once, encode once, 1 core: limit", floor),
    ):
        say(name, way)
    Bar("one slide on 2 cores: ours / hs2p", ratio(our_one, peer_one), 3).tell()
    Bar("eight slides on 2 cores: ours / hs2p", ratio(our_eight, peer_eight), 1.6).tell()
    Bar("per core, Spark included: ours / limit", ratio(our_core, floor), 0.75).tell()
    Bar("2 cores / 1 core", ratio(our_eight, our_core), 1.8).tell()


if __name__ == "__main__":
    main()
