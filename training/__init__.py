"""Patch table to model: stream, augmentation, models, metrics, report."""
