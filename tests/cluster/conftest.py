"""The servers that the tests of storage share."""

from tests.cluster.s3_server import s3, s3_server

__all__ = ["s3", "s3_server"]
