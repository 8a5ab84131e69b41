"""Which HistoSpark this is."""

from importlib.metadata import PackageNotFoundError, version


def our_version() -> str | None:
    """The version of the distribution; None where only the code was sent, without what pip knows of it."""
    try:
        return version("histospark")
    except PackageNotFoundError:
        return None
