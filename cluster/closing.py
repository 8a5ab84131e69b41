"""What has to be closed, as a context manager."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """`with` closes it at its end, however that comes."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held; a second time does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
