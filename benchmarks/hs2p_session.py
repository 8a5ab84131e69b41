"""hs2p, one request after the other: see `sessions`. Runs in the peers' own environment, by itself.

A request is a line of JSON: `slides`, `out` (folders), `workers`, `backend`, `min_tissue`. What hs2p does with it:
tissue by Otsu on its thumbnail, tiles of 256 px at level 0 (0.25 um per pixel), JPEG of quality 90 and 4:2:0 by
libjpeg-turbo into one tar a slide.
"""

import csv
import json
import sys
import time
from pathlib import Path


def tile(slides: Path, out: Path, workers: int, backend: str, min_tissue: float) -> int:
    """Tile all slides of a folder.

    Args:
        slides: folder of `*.tif`.
        out: where the tars go.
        workers: hs2p's `num_workers`.
        backend: its reader, e.g. `vips` or `openslide`.
        min_tissue: least share of tissue of a tile.

    Returns:
        Number of tiles.
    """
    from hs2p import api  # noqa: PLC0415 - the first request pays for the import, as start-up
    from hs2p.configs.models import FilterConfig, MaskSamplingConfig, SegmentationConfig, TilingConfig  # noqa: PLC0415

    api.tile_slides(
        [api.SlideSpec(sample_id=path.stem, image_path=path) for path in sorted(slides.glob("*.tif"))],
        tiling=TilingConfig(
            requested_spacing_um=0.25, requested_tile_size_px=256, tolerance=0.05, overlap=0.0, backend=backend
        ),
        segmentation=SegmentationConfig(method="otsu", downsample=32),
        filtering=FilterConfig(),
        masks=MaskSamplingConfig(
            pixel_mapping={"background": (0,), "tissue": (1,)}, min_coverage={"tissue": min_tissue}
        ),
        output_dir=out,
        num_workers=workers,
        save_tiles=True,
        jpeg_backend="turbojpeg",
    )
    return sum(_rows(manifest) for manifest in out.rglob("*.manifest.csv"))


def _rows(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def main() -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        out = Path(request["out"])
        out.mkdir(parents=True)
        tiles = tile(Path(request["slides"]), out, request["workers"], request["backend"], request["min_tissue"])
        seconds = time.perf_counter() - started
        print("@answer " + json.dumps({"seconds": seconds, "tiles": tiles}), flush=True)


if __name__ == "__main__":
    main()
