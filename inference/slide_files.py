"""The files that a slide has beside its predictions; `{}` in a name is its slide_id."""

from typing import Final

HEATMAP: Final = "heatmaps/{}.png"
PYRAMID: Final = "heatmaps/{}.tif"
POLYGONS: Final = "heatmaps/{}.geojson"
SCORE: Final = "slide_scores/{}.parquet"
LESIONS: Final = "lesions/{}.csv"
COMPANIONS: Final = (HEATMAP, PYRAMID, POLYGONS, SCORE, LESIONS)
LESION_COLUMNS: Final = ("slide_id", "x", "y", "probability")
