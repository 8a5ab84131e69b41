"""Mammograms made ready for tiling (Shen et al. 2019): breast cut out, one size, one mask of all marked regions."""
