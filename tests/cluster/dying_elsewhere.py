"""A job without Spark and slides whose process ends right before its n-th change of a store; see `committing`."""

import os
from collections.abc import Callable
from typing import Any

from s3fs import S3FileSystem  # type: ignore[import-untyped]

from cluster.hdfs_driver import MendedHdfs
from tests.preprocessing.committing import run_job

_CHANGES = ("put_object", "copy_object", "delete_object", "delete_objects", "create_multipart_upload")


def run_and_die(out: str, recipe_id: str, change: int, split: str, environment: dict[str, str]) -> None:
    """As `run_job`; exit code 77 where it got to that change, else 0.

    Args:
        out: URI on S3 or HDFS.
        recipe_id, split: of the job.
        change: which one it does not live to make, from 1.
        environment: what a client of the store needs.
    """
    os.environ.update(environment)
    left = change

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(77)

    _count_requests(count)
    for name in ("mv", "rm", "mkdir"):
        setattr(MendedHdfs, name, _counted(getattr(MendedHdfs, name), count))
    opened = _counted(MendedHdfs._open, lambda: None, writing=count)
    setattr(MendedHdfs, "_open", opened)  # noqa: B010 so that mypy lets it be
    run_job(out, recipe_id, split=split)


def _count_requests(count: Callable[[], None]) -> None:
    asked, called = S3FileSystem._call_s3, S3FileSystem.call_s3

    async def counted(self: Any, method: str, *arguments: Any, **settings: Any) -> Any:
        if method in _CHANGES:
            count()
        return await asked(self, method, *arguments, **settings)

    def counted_of_files(self: Any, method: str, *arguments: Any, **settings: Any) -> Any:
        if method in _CHANGES:
            count()
        return called(self, method, *arguments, **settings)

    S3FileSystem._call_s3, S3FileSystem.call_s3 = counted, counted_of_files


def _counted(method: Any, count: Callable[[], None], writing: Callable[[], None] | None = None) -> Any:
    def counted(self: Any, path: str, *arguments: Any, **settings: Any) -> Any:
        count()
        if writing is not None and (*arguments, settings.get("mode"))[0] == "wb":
            writing()
        return method(self, path, *arguments, **settings)

    return counted
