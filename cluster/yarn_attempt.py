"""Which attempt of an application of YARN this process belongs to.

YARN starts the driver of cluster mode anew where its node is lost or its container preempted, and by then it has
given up the attempt before: of the two, the later one counts.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

_CONTAINER: Final = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_(\d+)_\d+")


def yarn_attempt(environment: Mapping[str, str] = os.environ) -> str:
    """Name of the attempt, `APPLICATION_NUMBER`; empty outside YARN's containers, as for a driver in client mode.

    Args:
        environment: of the process; YARN tells each container its name there.
    """
    found = _CONTAINER.fullmatch(environment.get("CONTAINER_ID", ""))
    return f"{found[1]}_{found[2]}" if found else ""


def is_later_attempt(one: str, other: str) -> bool:
    """Whether both are attempts at the same application, and `one` the later; never so for an empty name."""
    (application, _, number), (of_other, _, before) = one.rpartition("_"), other.rpartition("_")
    return application == of_other != "" and int(number) > int(before)
