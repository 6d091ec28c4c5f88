"""boto3's clients, each made when it is first used: that takes 20 to 60 ms of a cold start.

They are made by botocore, as boto3 has it do. What boto3 adds (resources, transfers of files) we do not use: importing
it was measured at 30 ms of CPU and 3 MB in each cold start.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from ..errors import ConfigurationError

try:
    import botocore.session
except ModuleNotFoundError:
    raise ConfigurationError(
        "boto3 is not installed. A Lambda has it of its runtime; elsewhere: pip install 'lambda-durable[aws-sdk]'"
    ) from None

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ParamValidationError
from botocore.httpsession import get_cert_path
from botocore.validate import ParamValidator

from . import errors
from .connections import Connections
from .settings import PREFIX, Settings
from .short_path import Http, Sender, shorten

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sqs import SQSClient

TRANSPORT: Final = f"{PREFIX}TRANSPORT"

CONNECT_TIMEOUT: Final = 2.0
READ_TIMEOUT: Final = 5.0
"""Seconds without a byte, after which a call counts as lost. Ours take milliseconds."""

LONGEST_INVOCATION: Final = 900.0
"""Seconds. Lambda: the longest timeout of a function."""

CONNECTIONS: Final = 64
"""Open at once, to one service: as many as threads that may call. Beyond, each call would connect anew."""

ATTEMPTS: Final = 3
"""Of each call. What still fails then fails the invocation, whose message comes back later."""


class Clients:
    """The clients of one process. What AWS says about a person's mistake, they raise as ConfigurationError.

    Region, credentials and endpoint are boto3's own: AWS_DEFAULT_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and so on.
    `settings` and `stack` are what errors name. Not to be used by two threads before a client is made.
    """

    def __init__(self, settings: Settings | None = None, *, stack: str | None = None) -> None:
        self._settings = settings
        self._stack = stack
        try:
            self._session = botocore.session.get_session()
            self._config = _config(_user_agent(self._session))
        except BotoCoreError as error:
            raise ConfigurationError(errors.unusable(error)) from error

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        client = self._make_lean("dynamodb")
        client.meta.events.register("before-parameter-build.dynamodb.TransactWriteItems", _validate)
        self._shorten(client)
        return cast("DynamoDBClient", client)

    @cached_property
    def sqs(self) -> SQSClient:
        client = self._make_lean("sqs")
        self._shorten(client)
        return cast("SQSClient", client)

    @cached_property
    def s3(self) -> S3Client:
        return cast("S3Client", self._make("s3"))

    @cached_property
    def scheduler(self) -> EventBridgeSchedulerClient:
        return cast("EventBridgeSchedulerClient", self._make("scheduler"))

    @cached_property
    def events(self) -> EventBridgeClient:
        return cast("EventBridgeClient", self._make("events"))

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return cast("CloudFormationClient", self._make("cloudformation"))

    def of(self, service: str, *, explained: bool = True, **options: Any) -> Any:
        """A client of another service, new with each call; `options` are boto3's own. One that is not `explained`
        raises boto3's errors."""
        return self._make(service, explained=explained, **options)

    @cached_property
    def lambda_(self) -> LambdaClient:
        """For invocations: each is made once, and waited for as long as one can take."""
        once = Config(read_timeout=LONGEST_INVOCATION, retries={"total_max_attempts": 1})
        return cast("LambdaClient", self._make("lambda", config=self._config.merge(once)))

    def _shorten(self, client: Any) -> None:
        if (transport := _transport()) != "botocore":
            shorten(client, *self._senders(client, transport))

    def _senders(self, client: Any, transport: str) -> Iterator[Sender]:
        """Those of the client's everyday calls, the one to be preferred first."""
        if transport == "libcurl" and (credentials := self._session.get_credentials()) is not None:
            from .curl import Curl

            meta = client.meta
            service = meta.service_model.signing_name
            yield Curl(credentials, self._http, service=service, region=meta.region_name)
        yield self._connections

    @cached_property
    def _connections(self) -> Connections:
        """One for all clients: to load who may vouch for a host takes 16 ms of CPU."""
        return Connections(self._http)

    @cached_property
    def _http(self) -> Http:
        # botocore looks in these places.
        authorities: Any = self._session.get_config_variable("ca_bundle") or os.environ.get(
            "REQUESTS_CA_BUNDLE"
        )
        return Http(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            connections=CONNECTIONS,
            authorities=str(get_cert_path(authorities or True)),
        )

    def _make_lean(self, service: str) -> Any:
        """A client for the calls that every step makes, which are ours, and so need no validation."""
        return self._make(service, config=self._config.merge(Config(parameter_validation=False)))

    def _make(self, service: str, *, explained: bool = True, **options: Any) -> Any:
        create: Any = self._session.create_client
        try:
            client = create(service, **{"config": self._config, **options})
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(errors.unusable(error)) from error
        if explained:
            errors.explain(client, self._settings, self._stack)
        return client


class Lazy:
    """Stands for a client until it is used."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def _transport() -> str:
    """Who makes the calls of each step. Raises ConfigurationError."""
    transport = os.environ.get(TRANSPORT, "").strip() or "python"
    if transport not in ("python", "libcurl", "botocore"):
        raise ConfigurationError(f"{TRANSPORT} is python, libcurl or botocore, and this is {transport!r}")
    if transport == "libcurl" and find_spec("pycurl") is None:
        raise ConfigurationError(
            f"{TRANSPORT} is libcurl, and pycurl is not installed: add 'lambda-durable[curl]' to the requirements"
        )
    return transport


def _validate(params: dict[str, Any], model: Any, **_: Any) -> None:
    """Refuse a user's entries of a transaction that are none, as boto3 does. Raises ParamValidationError."""
    report = ParamValidator().validate(params, model.input_shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


def _user_agent(session: botocore.session.Session) -> str:
    """What all requests say of who sends them. Without it botocore puts that together anew, twice for each."""
    says = {
        "Botocore": botocore.__version__,
        "Python": platform.python_version(),
        platform.system(): platform.release(),
        "exec-env": os.environ.get("AWS_EXECUTION_ENV"),
        "app": session.get_config_variable("user_agent_appid"),
    }
    return " ".join(f"{name}/{value}" for name, value in says.items() if name and value)


def _config(user_agent: str) -> Config:
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "tcp_keepalive": True,
        "max_pool_connections": CONNECTIONS,
        "user_agent": user_agent,
        "user_agent_extra": "lambda-durable",
    }
    if os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_S3"):
        options["s3"] = {"addressing_style": "path"}  # an emulator's host has no name for each bucket
    return Config(**options)
