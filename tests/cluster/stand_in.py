"""A stand-in for spark-submit, where only what it is told is asked."""

from pathlib import Path


def program(folder: Path, text: str) -> Path:
    """`bin/spark-submit` below a folder: a shell script."""
    made = folder / "bin" / "spark-submit"
    made.parent.mkdir(parents=True)
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made
