"""Requests that Arrow's filesystem lacks: to put an object on a condition, and to end uploads that a crash has left.

Source: conditional writes of S3, https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from weekly_cli.errors import UsageError
from weekly_cli.files.objects import answers
from weekly_cli.files.objects.filesystems import Connection, attempts, connection
from weekly_cli.files.objects.path import ObjectPath

#: Answers to a condition that does not hold: another's object is there, or was put at the same moment.
_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_MISSING = ("NoSuchKey", "404")


class Held(NamedTuple):
    """An object as it was read.

    Attributes
    ----------
    content : bytes
    etag : str
        Which state of it this is.
    age_seconds : float
        Since it was put, by the store's clock.
    """

    content: bytes
    etag: str
    age_seconds: float


@functools.cache
def _client(how: Connection) -> Any:
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
    except ImportError as error:
        raise UsageError("to write to s3://, boto3 must be installed: pip install 'weekly-cli[s3]'") from error
    return boto3.client(
        "s3",
        endpoint_url=how.endpoint,
        region_name=how.region,
        config=Config(
            retries={"max_attempts": attempts(), "mode": "standard"},
            signature_version=UNSIGNED if how.anonymous else None,
        ),
    )


def client() -> Any:
    """Return boto3's client for S3.

    Raises
    ------
    UsageError
        If boto3 is not installed.
    """
    return _client(connection())


def read(path: ObjectPath) -> Held | None:
    """Return an object and which state of it this is; None: there is none.

    Raises
    ------
    OutputConflict, Unreachable
        If the store does not give it.
    """
    try:
        found = client().get_object(Bucket=path.bucket, Key=path.inside)
        content = found["Body"].read()
    except Exception as error:
        if _code(error) in _MISSING:
            return None
        raise answers.not_written(path, error) from error
    date = found["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    return Held(content, found["ETag"], (now - found["LastModified"]).total_seconds())


def put_if(path: ObjectPath, content: bytes, etag: str | None) -> str | None:
    """Put an object if it is still in a state, or if there is none; return its new state, or None if it is not so.

    A request whose answer was lost is sent again, and then finds its own object: that counts as put.

    Raises
    ------
    OutputConflict, Unreachable
        If the store does not take it.
    """
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
    try:
        done = client().put_object(Bucket=path.bucket, Key=path.inside, Body=content, **condition)
    except Exception as error:
        if _code(error) not in (*_REFUSED, *_MISSING):
            raise answers.not_written(path, error) from error
        standing = read(path)
        return standing.etag if standing is not None and standing.content == content else None
    return str(done["ETag"])


def remove(path: ObjectPath) -> None:
    """Remove an object, whether it is there or not; Arrow would put an empty one in the place of its folder.

    Raises
    ------
    OutputConflict, Unreachable
        If the store refuses it.
    """
    try:
        client().delete_object(Bucket=path.bucket, Key=path.inside)
    except Exception as error:
        raise answers.not_written(path, error) from error


def remove_below(folder: ObjectPath, keeps: Callable[[str], bool] = lambda name: False) -> None:
    """Remove the objects below a path, also empty ones that stand for folders.

    `keeps` takes a key from there on, and tells whether the object stays.

    Raises
    ------
    OutputConflict, Unreachable
        If the store refuses it.
    """
    prefix = f"{folder.inside}/"
    try:
        for page in client().get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=prefix):
            keys = [{"Key": one["Key"]} for one in page.get("Contents", ()) if not keeps(one["Key"][len(prefix) :])]
            if keys:
                done = client().delete_objects(Bucket=folder.bucket, Delete={"Objects": keys, "Quiet": True})
                for refused in done.get("Errors", ()):
                    raise OSError(f"{refused['Key']}: {refused['Code']}")
    except Exception as error:
        raise answers.not_written(folder, error) from error


def end_uploads(folder: ObjectPath) -> int:
    """End uploads below a path that were begun and not finished, and return how many there were.

    Raises
    ------
    OutputConflict, Unreachable
        If the store refuses it.
    """
    number = 0
    try:
        for upload in _uploads(folder):
            client().abort_multipart_upload(Bucket=folder.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            number += 1
    except Exception as error:
        if _code(error) not in ("NotImplemented", "MethodNotAllowed"):  # not every store tells of them
            raise answers.not_written(folder, error) from error
    return number


def _uploads(folder: ObjectPath) -> Iterator[dict[str, str]]:
    pages = client().get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=folder.bucket, Prefix=f"{folder.inside}/"):
        # Not every store looks at the prefix.
        yield from (one for one in page.get("Uploads", ()) if one["Key"].startswith(f"{folder.inside}/"))


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
