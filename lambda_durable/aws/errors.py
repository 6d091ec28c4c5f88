"""What AWS answers to a person's mistake, in one sentence that names the setting and the way out.

Everything else is left as it is: it is for a retry, or for who looks after the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)

from ..errors import SetupError
from .settings import Settings, variable

THROTTLED: Final = frozenset({
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
})  # fmt: skip

_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "KMS.AccessDeniedException",
        "KmsAccessDenied",
    }
)

_NOT_BELIEVED: Final = frozenset({
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip

_GONE: Final = {
    ("dynamodb", "ResourceNotFoundException"): ("table", "table"),
    ("sqs", "AWS.SimpleQueueService.NonExistentQueue"): ("queue_url", "queue"),
    ("sqs", "QueueDoesNotExist"): ("queue_url", "queue"),
    ("s3", "NoSuchBucket"): ("bucket", "bucket"),
    ("s3", "PermanentRedirect"): ("bucket", "bucket"),
    ("events", "ResourceNotFoundException"): ("bus", "event bus"),
    ("scheduler", "ResourceNotFoundException"): ("schedule_group", "schedule group"),
}

# Of these, "not found" is an answer that the caller expects: a schedule, or a group without any.
_MAY_BE_GONE: Final = frozenset({"GetSchedule", "UpdateSchedule", "DeleteSchedule", "ListSchedules"})

# What is not found may be a user's own table: `step.transact` names those.
_OF_OTHERS: Final = frozenset({"TransactWriteItems"})

# Where the action that a policy allows has another name than the operation.
_ACTIONS: Final = {
    "SendMessageBatch": "SendMessage",
    "ListObjectsV2": "ListBucket",
    "Invoke": "InvokeFunction",
}


def is_throttling(error: BaseException) -> bool:
    """Whether AWS asks for patience, and all is well otherwise."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in THROTTLED


def explain(client: Any, settings: Settings | None = None, stack: str | None = None) -> None:
    """Have a client raise SetupError for a person's mistake."""
    where = _where(client, settings, stack)
    client.meta.events.register(f"after-call.{where.service}", partial(_answered, where))
    explain_silence(client)


def explain_silence(client: Any) -> None:
    """Have a client raise SetupError where AWS was not asked, or gave no answer."""
    where = _where(client)
    client.meta.events.register(f"after-call-error.{where.service}", partial(_failed, where))


def _where(client: Any, settings: Settings | None = None, stack: str | None = None) -> _Where:
    service = client.meta.service_model.service_name
    return _Where(service, client.meta.region_name, client.meta.endpoint_url, settings, stack)


def unusable(error: Exception) -> str:
    """Why boto3 can make no client."""
    if isinstance(error, NoRegionError):
        return "no AWS region is set: set AWS_DEFAULT_REGION (boto3 reads no AWS_REGION), or a region in the profile"
    if isinstance(error, ProfileNotFound | PartialCredentialsError | InvalidRegionError):
        return f"the AWS configuration can't be used: {error}"
    return f"boto3 can't be set up, check AWS_ENDPOINT_URL and AWS_DEFAULT_REGION: {error}"


class _Where:
    """What a message can name: whose client, in which region, by which settings."""

    def __init__(
        self, service: str, region: str, endpoint: str, settings: Settings | None, stack: str | None
    ) -> None:
        self.service = service
        self.region = region
        self.endpoint = endpoint
        self.stack = stack
        self._settings = settings

    def setting(self, field: str) -> str:
        value = getattr(self._settings, field, "") if self._settings is not None else ""
        return f"{value!r}, from {variable(field)}," if value else f"of {variable(field)}"


def _answered(where: _Where, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    error = parsed.get("Error")
    if not error:
        return
    message = _mistake(where, model.name, error.get("Code", ""), error.get("Message", ""))
    if message is not None:
        raise SetupError(message)


def _mistake(where: _Where, operation: str, code: str, said: str) -> str | None:
    if code in _NOT_BELIEVED:
        return (
            f"AWS does not accept the credentials ({code}: {said}); `aws sts get-caller-identity` shows whose "
            "they are, and whether they have expired"
        )
    if code in _DENIED:
        action = f"{where.service}:{_ACTIONS.get(operation, operation)}"
        return f"permission denied for {action}: allow it to the role or user. AWS says: {said}"
    if where.service == "cloudformation" and code == "ValidationError" and "does not exist" in said:
        return (
            f"there is no stack {where.stack!r} in {where.region}: is that its name, and AWS_DEFAULT_REGION its "
            "region?"
        )
    if (gone := _GONE.get((where.service, code))) is not None and operation not in _MAY_BE_GONE | _OF_OTHERS:
        field, what = gone
        return (
            f"the {what} {where.setting(field)} is not there in {where.region}: is the stack deployed, in that "
            "region and account? AWS_DEFAULT_REGION sets the region"
        )
    if where.service == "dynamodb" and "not have the specified index" in said:
        return (
            f"the table {where.setting('table')} was made by a release whose lists had other indexes ({said}): deploy "
            "this one as a stack of its own, and let the runs of the old one end there"
        )
    return None


def _failed(where: _Where, exception: Exception, **_: Any) -> None:
    if isinstance(exception, NoCredentialsError | PartialCredentialsError):
        raise SetupError(
            f"there are no AWS credentials ({exception}): log in with `aws sso login` or `aws configure`, or set "
            "AWS_PROFILE or AWS_ACCESS_KEY_ID"
        ) from exception
    if isinstance(exception, SSLError):
        raise SetupError(
            f"{where.endpoint} shows no certificate that is trusted here: if an authority of your own vouches for it, "
            f"set AWS_CA_BUNDLE to its file, one that is there and has certificates ({exception})"
        ) from exception
    if isinstance(exception, EndpointConnectionError | ConnectTimeoutError):
        raise SetupError(
            f"{where.endpoint} can't be reached: is there a network, is AWS_DEFAULT_REGION ({where.region}) right, and "
            f"AWS_ENDPOINT_URL, if it is set? ({type(exception).__name__})"
        ) from exception
    if isinstance(exception, BotoCoreError) and "SSO" in type(exception).__name__:
        raise SetupError(f"the AWS login can't be used: {exception}") from exception
