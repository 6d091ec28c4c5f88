"""Whether a stack's resources are set up so that runs go on: there, switched on, and fitting together.

What is wrong is told, and left to whoever deploys: it may be meant, and the next deployment would undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import ClientError

from ..findings import Finding, Level
from .clients import Clients
from .errors import explain_silence
from .settings import Settings
from .table import CHECKS_INDEX, EXPIRY, RUNS_INDEX, table_definition

SKEW: Final = 5
"""Seconds by which clocks differ: a message that comes back sooner meets the invocation that had it."""

DEPLOY: Final = "deploy the stack again (sam deploy), or correct its template"


@dataclass(frozen=True)
class Inspection:
    """Looks at the resources of a stack. `worker` is the ARN of the worker's alias, "" where it is not known."""

    clients: Clients
    settings: Settings
    worker: str = ""
    _gone: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    def __call__(self) -> Iterator[Finding]:
        looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            (f"table {self.settings.table}", self._table),
            (f"bucket {self.settings.bucket}", self._bucket),
        ]
        if self.worker:
            looks += [
                (f"function {self.worker}", self._worker),
                ("the event source mappings", self._mappings),
            ]
        looks += [(f"queue {self._name(arn)}", self._look_at_queue(arn)) for arn in self._queues if arn]
        looks += [(f"event bus {self.settings.bus}", self._rules)]
        if self.settings.schedule_group:
            looks += [(f"schedule group {self.settings.schedule_group}", self._schedules)]
        for subject, look in looks:
            yield from self._seen(subject, look)

    def is_gone(self, version: str) -> bool:
        """Whether a version of the worker was deleted; False where that can't be told."""
        if version not in self._gone:
            self._gone[version] = bool(self.worker) and self._was_deleted(version)
        return self._gone[version]

    def _was_deleted(self, version: str) -> bool:
        try:
            self._lambda.get_function_configuration(FunctionName=self._function, Qualifier=version)
        except ClientError as error:
            return _code(error) == "ResourceNotFoundException"
        return False

    # -- one resource each ---------------------------------------------------------------------------

    def _table(self) -> Iterator[Finding]:
        name = self.settings.table
        subject, client = f"table {name}", self._client("dynamodb")
        table = client.describe_table(TableName=name)["Table"]
        if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
            yield _stuck("table", subject, f"is {table['TableStatus']}", "look at it in the console")
        if "InaccessibleEncryptionDateTime" in table.get("SSEDescription", {}):
            key = table["SSEDescription"].get("KMSMasterKeyArn", "its key")
            yield _stuck(
                "key", subject, f"DynamoDB may not use {key}", "enable the key, or restore its policy"
            )
        wanted = {index["IndexName"]: index for index in table_definition(name)["GlobalSecondaryIndexes"]}
        there = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", ())}
        for index, definition in wanted.items():
            found = there.get(index)
            if (
                found is None
                or _keys(found) != _keys(definition)
                or not _projected(definition) <= _projected(found)
            ):
                what = "has no" if found is None else "has other attributes in its"
                lost = "lists fail"
                if index in (RUNS_INDEX, CHECKS_INDEX):
                    lost = "nobody finds runs that were lost"
                yield _stuck("index", subject, f"{what} index {index!r}: {lost}", DEPLOY)
            elif found.get("IndexStatus", "ACTIVE") != "ACTIVE":
                why = f"its index {index!r} is {found['IndexStatus']}: what it lists is not all"
                yield Finding(level=Level.WAITS, kind="index", subject=subject, why=why)
        life = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        on = life.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        if not on or life.get("AttributeName") != EXPIRY:
            why = f"has no time to live on {EXPIRY!r}: what has ended is kept, and paid for, for ever"
            yield Finding(level=Level.LEFT, kind="time-to-live", subject=subject, why=why, way_out=DEPLOY)

    def _bucket(self) -> Iterator[Finding]:
        self._client("s3").head_bucket(Bucket=self.settings.bucket)
        yield from ()

    def _worker(self) -> Iterator[Finding]:
        subject = f"function {self._function}"
        found = self._configuration
        if found.get("State", "Active") not in ("Active", "Inactive"):
            yield _stuck("worker", subject, f"is {found['State']}: {found.get('StateReason', '')}", DEPLOY)
        if found.get("LastUpdateStatus") == "Failed":
            why = f"its last update failed: {found.get('LastUpdateStatusReason', '')}"
            yield _stuck("worker", subject, why, DEPLOY)
        reserved = self._lambda.get_function_concurrency(FunctionName=self._function)
        if reserved.get("ReservedConcurrentExecutions") == 0:
            out = f"aws lambda delete-function-concurrency --function-name {self._function}"
            yield _stuck("concurrency", subject, "has a reserved concurrency of 0: it never runs", out)
        variables = found.get("Environment", {}).get("Variables", {})
        for name, value in (("TABLE", self.settings.table), ("QUEUE_URL", self.settings.queue_url)):
            set_to = variables.get(f"LAMBDA_DURABLE_{name}", "")
            if set_to != value:
                why = f"LAMBDA_DURABLE_{name} is {set_to!r} there, and the stack's is {value!r}"
                yield _stuck("setting", subject, why, DEPLOY)
        yield from self._seen("the recursion of the worker", self._recursion)

    def _recursion(self) -> Iterator[Finding]:
        found = self._lambda.get_function_recursion_config(FunctionName=self._function)
        if found.get("RecursiveLoop") != "Allow":
            out = f"aws lambda put-function-recursion-config --function-name {self._function} --recursive-loop Allow"
            why = "its recursive loops are stopped by Lambda: a run ends in the dead-letter queue after 16 steps"
            yield _stuck("recursion", f"function {self._function}", why, out)

    def _mappings(self) -> Iterator[Finding]:
        pages = self._lambda.get_paginator("list_event_source_mappings").paginate(FunctionName=self.worker)
        found = {each["EventSourceArn"]: each for page in pages for each in page["EventSourceMappings"]}
        for arn in filter(None, self._queues[:3]):
            subject = f"the event source mapping of queue {self._name(arn)}"
            mapping = found.get(arn)
            if mapping is None:
                yield _stuck("mapping", subject, "is not there: nobody reads the queue", DEPLOY)
                continue
            if mapping.get("State") in ("Disabled", "Disabling"):
                out = f"aws lambda update-event-source-mapping --enabled --uuid {mapping['UUID']}"
                yield _stuck("mapping", subject, "is disabled: nobody reads the queue", out)
            if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", ()):
                why = "does not report batch item failures: a message that failed counts as done, and is lost"
                yield _stuck("mapping", subject, why, DEPLOY)

    def _look_at_queue(self, arn: str) -> Callable[[], Iterator[Finding]]:
        def look() -> Iterator[Finding]:
            subject = f"queue {self._name(arn)}"
            *_, account, name = arn.split(":")
            client = self._client("sqs")
            url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
            found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            if key := found.get("KmsMasterKeyId"):
                yield from self._seen(f"the key of {subject}", lambda: self._key(subject, key))
            if arn == self.settings.dead_letter_arn:
                return
            if "deadLetterTargetArn" not in found.get("RedrivePolicy", ""):
                why = "has no redrive policy: a message that kills the worker is tried until it expires, then lost"
                yield _stuck("redrive", subject, why, DEPLOY)
            if self.worker:
                timeout, hidden = self._configuration["Timeout"], int(found.get("VisibilityTimeout", 30))
                if hidden < timeout + SKEW:
                    why = (
                        f"shows messages again after {hidden} seconds, and the worker has {timeout}: it works on "
                        "one while another does"
                    )
                    yield _stuck("visibility", subject, why, DEPLOY)

        return look

    def _key(self, subject: str, key: str) -> Iterator[Finding]:
        if key.startswith("alias/aws/"):
            return
        state = self._client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            yield _stuck("key", subject, f"its key {key} is {state}", f"aws kms enable-key --key-id {key}")

    def _rules(self) -> Iterator[Finding]:
        client, bus = self._client("events"), self.settings.bus
        subject, ingress = f"event bus {bus}", self.settings.ingress_queue_arn
        if not ingress:
            return
        pages = client.get_paginator("list_rule_names_by_target").paginate(
            TargetArn=ingress, EventBusName=bus
        )
        leading = [name for page in pages for name in page["RuleNames"]]
        for name in leading:
            if client.describe_rule(Name=name, EventBusName=bus).get("State") == "DISABLED":
                out = f"aws events enable-rule --event-bus-name {bus} --name {name}"
                yield _stuck("rule", f"rule {name}", "is disabled: events start nothing", out)
        if not leading:
            yield _stuck("rule", subject, "has no rule that leads to the ingress queue", DEPLOY)

    def _schedules(self) -> Iterator[Finding]:
        client, group = self._client("scheduler"), self.settings.schedule_group
        pages = client.get_paginator("list_schedules").paginate(GroupName=group)
        reconciles = False
        for listed in (each for page in pages for each in page["Schedules"]):
            target = listed.get("Target", {}).get("Arn", "")
            recurring = listed["Name"].startswith("cron-")
            mine = bool(self.worker) and target == self.worker
            reconciles |= mine
            if listed.get("State") == "DISABLED" and (mine or recurring):
                why = "is disabled: " + (
                    "runs that were lost stay lost" if mine else "its function is not started"
                )
                yield _stuck("schedule", f"schedule {listed['Name']}", why, DEPLOY)
        if self.worker and not reconciles:
            why = "has no schedule that calls the worker every five minutes: runs that were lost stay lost"
            yield _stuck("schedule", f"schedule group {group}", why, DEPLOY)

    # -- helpers -------------------------------------------------------------------------------------

    @property
    def _queues(self) -> tuple[str, ...]:
        known = self.settings
        return (known.queue_arn, known.ingress_queue_arn, known.failed_queue_arn, known.dead_letter_arn)

    @property
    def _function(self) -> str:
        """The function of an alias: what its last `:live` is cut from."""
        return self.worker.rpartition(":")[0] if self.worker.count(":") == 7 else self.worker

    @cached_property
    def _lambda(self) -> Any:
        return self._client("lambda")

    @cached_property
    def _configuration(self) -> Any:
        return self._lambda.get_function_configuration(FunctionName=self.worker)

    def _client(self, service: str) -> Any:
        client = self.clients.of(service, explained=False)
        explain_silence(client)
        return client

    @staticmethod
    def _name(arn: str) -> str:
        return arn.rpartition(":")[2]

    def _seen(self, subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """What a look finds; that the thing is gone, or that it could not be looked at."""
        try:
            yield from look()
        except ClientError as error:
            code = _code(error)
            if code in _GONE or (code, error.operation_name) == ("404", "HeadBucket"):
                yield _stuck("missing", subject, f"is not there ({code})", DEPLOY)
                return
            why = f"could not be looked at: {code}: {error.response['Error'].get('Message', '')}"
            yield Finding(level=Level.UNSEEN, kind="unseen", subject=subject, why=why)


_GONE: Final = frozenset({
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
})  # fmt: skip


def _stuck(kind: str, subject: str, why: str, way_out: str) -> Finding:
    return Finding(level=Level.STUCK, kind=kind, subject=subject, why=why, way_out=way_out)


def _keys(index: Any) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]]


def _projected(index: Any) -> set[str]:
    return set(index["Projection"].get("NonKeyAttributes", ()))


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
