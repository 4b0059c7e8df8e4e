"""What a store's refusals mean, in one line with a way out: of Arrow's errors and of boto3's."""

from __future__ import annotations

import re
from typing import NamedTuple

from weekly_cli.errors import InputRefused, OutputConflict, Unreachable, WeeklyError


class _Meaning(NamedTuple):
    """A kind of answer: how it is recognized, what is wrong and to be done, and whether trying again is no use."""

    pattern: str
    sentence: str
    is_final: bool


_MEANINGS = (
    _Meaning(
        "ACCESS_DENIED|AccessDenied|INVALID_ACCESS_KEY_ID|InvalidAccessKeyId|SIGNATURE_DOES_NOT_MATCH|"
        "SignatureDoesNotMatch|EXPIRED_TOKEN|ExpiredToken|InvalidToken|Forbidden|HTTP status 403",
        "access denied; check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do there",
        is_final=True,
    ),
    _Meaning(
        "NO_SUCH_BUCKET|NoSuchBucket",
        "there is no such bucket; check its name, AWS_ENDPOINT_URL (or --s3-endpoint) and the region",
        is_final=True,
    ),
    _Meaning(
        "Unable to locate credentials|NoCredentials|NoAuthHandlerFound",
        "there are no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass "
        "--s3-anonymous for a public bucket",
        is_final=True,
    ),
    _Meaning(
        "PermanentRedirect|HTTP status 301",
        "the bucket is in another region; set AWS_REGION, or pass --s3-region",
        is_final=True,
    ),
    _Meaning(
        "SLOW_DOWN|SlowDown|THROTTLING|Throttl|SERVICE_UNAVAILABLE|ServiceUnavailable|HTTP status 50[03]",
        "the store is too busy, though it was asked several times (AWS_MAX_ATTEMPTS); run the same command again later",
        is_final=False,
    ),
    _Meaning(
        "NETWORK_CONNECTION|curlCode|Could not connect|Connection|timed out|Timeout",
        "the store can't be reached; check the network and AWS_ENDPOINT_URL (or --s3-endpoint), and run the same "
        "command again",
        is_final=False,
    ),
    _Meaning(
        "NO_SUCH_KEY|NoSuchKey|RESOURCE_NOT_FOUND|does not exist|[Nn]ot [Ff]ound|HTTP status 404",
        "it does not exist, or its bucket does not",
        is_final=True,
    ),
)


def meaning(error: BaseException) -> tuple[str, bool]:
    """Return what an error of a store means, and whether trying again is no use.

    >>> meaning(OSError("AWS Error NO_SUCH_BUCKET during HeadBucket operation: No response body."))[1]
    True
    """
    text = str(error)
    for known in _MEANINGS:
        if re.search(known.pattern, text):
            return known.sentence, known.is_final
    line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return f"{line}; run the same command again", False


def is_of_store(error: BaseException) -> bool:
    """Tell an error of a store from one of the bytes that it gave."""
    if not isinstance(error, OSError):
        return False
    return isinstance(error, FileNotFoundError) or any(re.search(one.pattern, str(error)) for one in _MEANINGS)


def not_read(url: object, error: BaseException) -> WeeklyError:
    """Return the error for what a store does not give."""
    sentence, is_final = meaning(error)
    return (InputRefused if is_final else Unreachable)(f"{url} can't be read: {sentence}")


def not_written(url: object, error: BaseException) -> WeeklyError:
    """Return the error for what a store does not take."""
    sentence, is_final = meaning(error)
    return (OutputConflict if is_final else Unreachable)(f"{url} can't be written to: {sentence}")
