"""Slides to patch table: inventory, survey, selection, extraction, ledger."""
