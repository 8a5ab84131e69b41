"""Slides and a model to predictions, heatmaps, lesions and slide scores."""
