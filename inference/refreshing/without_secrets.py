"""Text that may be shown: what grants access is masked, what cannot be printed is spelled out."""

import re
from typing import Final

_MASK: Final = "***"
# login@ of a URI; behind a colon all up to the last @, as keys of S3 hold slashes. Rather too much than too little.
_LOGIN: Final = re.compile(r"(?<=://)(?:[^/@:\s'\"]+:[^\s'\"]+|[^/?#\s'\"]+)@")
# What a query of a URI may carry: signatures, tokens, keys, passwords.
_PARAMETER: Final = re.compile(
    r"([?&;](?:[\w.-]*(?:sig|signature|token|secret|key|password|passwd|pwd|credential|auth)[\w.-]*)=)[^&;\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    r"""Mask logins and keys in the URIs of a text.

    Args:
        text: a command line, a path, an error message.

    Returns:
        The text, encodable as UTF-8; bytes of a file name that are none become `\udcXX` in letters.
    """
    masked = _PARAMETER.sub(rf"\g<1>{_MASK}", _LOGIN.sub(f"{_MASK}@", text))
    return masked.encode("utf-8", "backslashreplace").decode()
