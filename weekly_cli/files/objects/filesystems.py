"""The filesystems behind URLs: Arrow's S3, and for reading whatever else Arrow or fsspec knows.

Credentials are found as boto and Arrow find them: in the environment, in the files of the AWS command line, or by the
machine's role. They are in no setting, so that no report, log or journal can hold them.

Source: the variables of the AWS SDKs, https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html. Arrow
reads those of credentials, and not those of endpoint and retries.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from weekly_cli.errors import UsageError
from weekly_cli.settings.kinds import Switch

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

S3 = "s3"
#: Threads that wait for a store, of one process: Arrow's default. Workers have one where they read a disk.
_IO_THREADS = 8
_ATTEMPTS = 5


class Connection(NamedTuple):
    """How S3 is reached, where the environment of the AWS SDKs does not tell; nothing in it is secret.

    Attributes
    ----------
    endpoint : str or None
        The URL of a service other than Amazon's.
    region : str or None
    anonymous : bool
        Whether requests are not signed, as public buckets allow.
    """

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False


#: The settings that tell it, in the order of a `Connection`.
CONNECTION = ("s3_endpoint", "s3_region", "s3_anonymous")
#: In which variables a process tells its workers of the connection: those of the settings.
_ENDPOINT, _REGION, _ANONYMOUS = "WEEKLY_CLI_S3_ENDPOINT", "WEEKLY_CLI_S3_REGION", "WEEKLY_CLI_S3_ANONYMOUS"
_given: Callable[[], Connection] | None = None


def connect_by(told: Callable[[], Connection]) -> None:
    """Reach S3 from now on in the way that a function tells, which is called if S3 is needed."""
    global _given
    _given = told
    filesystem.cache_clear()


def connection() -> Connection:
    """Return how this process reaches S3: as it was told, or else by its environment."""
    told = (_given or _by_variables)()
    endpoint = told.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = told.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return Connection(endpoint or None, region or None, told.anonymous)


def _by_variables() -> Connection:
    anonymous = os.environ.get(_ANONYMOUS, "")
    is_anonymous = bool(anonymous) and Switch().parse([anonymous])
    return Connection(os.environ.get(_ENDPOINT), os.environ.get(_REGION), is_anonymous)


def variables() -> Mapping[str, str]:
    """Return the connection as variables for the environment of a worker process."""
    endpoint, region, anonymous = connection()
    values = {_ENDPOINT: endpoint, _REGION: region, _ANONYMOUS: "true" if anonymous else None}
    return {name: value for name, value in values.items() if value}


@functools.cache
def filesystem(scheme: str, bucket: str) -> FileSystem:
    """Return the filesystem of URLs with this scheme and bucket.

    Raises
    ------
    UsageError
        If there is none for the scheme.
    """
    import pyarrow as pa
    from pyarrow import fs

    pa.set_io_thread_count(max(_IO_THREADS, pa.io_thread_count()))
    if scheme != S3:
        return _other_filesystem(scheme, bucket)
    endpoint, region, anonymous = connection()
    options: dict[str, Any] = {"endpoint_override": endpoint} if endpoint else {}
    if region is None and endpoint is None:
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError:  # it can't be asked; the request that needs the bucket says what is wrong
            region = None
    return fs.S3FileSystem(
        region=region,
        anonymous=anonymous,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts()),
        allow_delayed_open=True,  # a small object is one request
        **options,
    )


def attempts() -> int:
    """Return how often a request is tried: `AWS_MAX_ATTEMPTS`, which Arrow does not read, or 5."""
    text = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return int(text) if text.isdecimal() and int(text) else _ATTEMPTS


def _other_filesystem(scheme: str, bucket: str) -> FileSystem:
    """Return the filesystem of a scheme other than S3: such are read, and untested."""
    import pyarrow as pa
    from pyarrow import fs

    try:
        return fs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]
    except (pa.ArrowException, ValueError):
        pass
    try:
        import fsspec

        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{scheme}://{bucket}: neither Arrow nor fsspec reads {scheme}:// here ({error}); give a path or s3://"
        ) from error


def refuse_scheme(url: str, setting: str) -> None:
    """Refuse to write anywhere but on S3.

    Raises
    ------
    UsageError
    """
    scheme = url.partition("://")[0]
    if scheme != S3:
        raise UsageError(f"{setting} {url}: only paths and s3:// are written to; {scheme}:// is only read")
