"""Numbers in sentences."""


def counted(count: int, noun: str) -> str:
    """A number with what it counts: `1 slide`, `1,200 slides`, `2 patches`; for nouns with s, or es after ch."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
