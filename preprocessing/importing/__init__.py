"""Patches that others have cut, brought into the patch table as they are."""
