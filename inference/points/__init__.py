"""Detections judged against marked points, and what is to be learnt from the false ones."""
