"""In work: the run that the lab shows."""


class RunView:
    """In work."""

    def __init__(self, uri: str, slides: str | None = None) -> None:
        self.uri, self.slides = uri, slides
