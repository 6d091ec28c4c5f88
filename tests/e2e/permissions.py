"""Whether a template allows just what is done: the calls of a real run against its IAM statements.

Calls come from two places. What the worker calls is recorded (`recorder/`), one JSON line a call:
{"function": ..., "service": "dynamodb", "operation": "Query", "params": {...}}. What AWS does in the name of the
stack's roles (Lambda's pollers, a rule's deliveries) leaves no trace in the worker, and follows from the template:
`service_calls`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudformation import Stack


@dataclass(frozen=True)
class Call:
    """An action on a resource. `principal` is the logical id of a role, or a service that a queue lets in."""

    principal: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.principal}: {self.action} on {self.resource}"


@dataclass(frozen=True)
class Statement:
    principal: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def allows(self, call: Call) -> bool:
        return (
            call.principal == self.principal
            and any(_matches(action, call.action) for action in self.actions)
            and any(_matches(resource, call.resource) for resource in self.resources)
            and all(self._satisfied(*condition, dict(call.context)) for condition in self.conditions.items())
        )

    def _satisfied(self, operator: str, wanted: Mapping[str, Any], context: Mapping[str, str]) -> bool:
        assert operator in ("StringEquals", "ArnEquals"), f"{self.sid}: {operator} is not understood here"
        return all(
            context.get(key) in (values if isinstance(values, list) else [values])
            for key, values in wanted.items()
        )


@dataclass(frozen=True)
class Findings:
    """`missing`: calls that nothing allows. `unused`: an action or a resource of a statement that no call needs."""

    missing: list[Call]
    unused: list[str]


def examine(statements: Iterable[Statement], calls: Iterable[Call]) -> Findings:
    statements, calls = list(statements), set(calls)
    allowed = {statement: [call for call in calls if statement.allows(call)] for statement in statements}
    needed = {call for those in allowed.values() for call in those}
    unused = [
        f"{statement.principal}: {statement.sid}: {kind} {pattern}"
        for statement, those in allowed.items()
        for kind, patterns in (("action", statement.actions), ("resource", statement.resources))
        for pattern in patterns
        if not any(_matches(pattern, call.action if kind == "action" else call.resource) for call in those)
    ]
    return Findings(sorted(calls - needed, key=str), unused)


def statements_of(stack: Stack) -> Iterator[Statement]:
    """What the stack's roles may do, and what its queues let services do."""
    for role, properties in stack.of_type("AWS::IAM::Role").items():
        for policy in properties["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield _statement(role, statement)
    for properties in stack.of_type("AWS::IAM::Policy").values():
        for role in properties["Roles"]:
            for statement in properties["PolicyDocument"]["Statement"]:
                yield _statement(role, statement)
    for properties in stack.of_type("AWS::SQS::QueuePolicy").values():
        for statement in properties["PolicyDocument"]["Statement"]:
            yield _statement(statement["Principal"]["Service"], statement)


def _statement(principal: str, statement: Mapping[str, Any]) -> Statement:
    assert statement["Effect"] == "Allow", statement
    return Statement(
        principal,
        statement["Sid"],
        _tuple(statement["Action"]),
        _tuple(statement["Resource"]),
        statement.get("Condition", {}),
    )


def service_calls(stack: Stack) -> Iterator[Call]:
    """What AWS itself does with the stack's permissions, as its documentation says."""
    for function in stack.of_type("AWS::Serverless::Function").values():
        role = _id(stack, function["Role"])
        for event in function["Events"].values():
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
                yield Call(role, f"sqs:{action}", event["Properties"]["Queue"])
        group = (
            f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{function['LoggingConfig']['LogGroup']}"
        )
        for action in ("CreateLogStream", "PutLogEvents"):
            yield Call(role, f"logs:{action}", f"{group}:log-stream:2026/01/01/[live]0")
    for rule, properties in stack.of_type("AWS::Events::Rule").items():
        source = (("aws:SourceArn", stack.arn(rule)),)
        for target in properties["Targets"]:
            for queue in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                yield Call("events.amazonaws.com", "sqs:SendMessage", queue, source)
    for schedule in stack.of_type("AWS::Scheduler::Schedule").values():
        role = _id(stack, schedule["Target"]["RoleArn"])
        yield Call(role, "lambda:InvokeFunction", schedule["Target"]["Arn"])


def recorded_calls(stack: Stack, lines: Iterable[str]) -> Iterator[Call]:
    """The calls in a record. A schedule that the worker makes brings with it what the Scheduler will do."""
    (worker,) = stack.of_type("AWS::Serverless::Function").values()
    role = _id(stack, worker["Role"])
    for line in lines:
        call = json.loads(line)
        service, operation, params = call["service"], call["operation"], call["params"]
        for action, resource in _requests(stack, service, operation, params):
            yield Call(role, action, resource)
        if service == "scheduler" and operation in ("CreateSchedule", "UpdateSchedule"):
            target = params["Target"]
            passed = (("iam:PassedToService", "scheduler.amazonaws.com"),)
            yield Call(role, "iam:PassRole", target["RoleArn"], passed)
            for queue in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                yield Call(_id(stack, target["RoleArn"]), "sqs:SendMessage", queue)


def of_logical_ids(lines: Iterable[str], stacks: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The calls in a record with logical ids in the place of physical ones, so that what stacks of one template
    did adds up. `stacks` are the physical ids of each, by logical ones, as DescribeStackResources tells them."""
    names = {
        re.split(r"[/|]", physical)[-1]: logical for stack in stacks for logical, physical in stack.items()
    }
    long_ones_first = sorted(map(re.escape, names), key=len, reverse=True)
    name = re.compile(rf"(?<![\w-])({'|'.join(long_ones_first)})(?![\w-])")
    for line in lines:
        yield name.sub(lambda found: names[found[1]], line)


def _requests(
    stack: Stack, service: str, operation: str, params: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The actions that a call of an API needs, each with its resource."""
    place = f"{stack.region}:{stack.account}"
    match service:
        case "dynamodb" if operation == "TransactWriteItems":  # DynamoDB: each entry needs what it does
            for entry in params["TransactItems"]:
                ((kind, request),) = entry.items()
                yield f"dynamodb:{kind}Item", f"arn:aws:dynamodb:{place}:table/{request['TableName']}"
        case "dynamodb" if operation == "BatchGetItem":
            for table in params["RequestItems"]:
                yield "dynamodb:BatchGetItem", f"arn:aws:dynamodb:{place}:table/{table}"
        case "dynamodb":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield f"dynamodb:{operation}", f"arn:aws:dynamodb:{place}:table/{params['TableName']}{index}"
        case "sqs":
            queue = params["QueueUrl"].rpartition("/")[2]
            yield f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{place}:{queue}"
        case "s3":
            bucket = f"arn:aws:s3:::{params['Bucket']}"
            yield f"s3:{operation}", f"{bucket}/{params['Key']}"
            if operation == "PutObject" and "Tagging" in params:
                yield "s3:PutObjectTagging", f"{bucket}/{params['Key']}"
            if operation == "GetObject":  # S3: tells a missing object from a forbidden one by it
                yield "s3:ListBucket", bucket
        case "events":
            for entry in params["Entries"]:
                yield f"events:{operation}", f"arn:aws:events:{place}:event-bus/{entry['EventBusName']}"
        case "lambda":
            function = f"{params['FunctionName']}:{params['Qualifier']}"
            yield f"lambda:{operation}Function", f"arn:aws:lambda:{place}:function:{function}"
        case "scheduler" if operation == "ListSchedules":
            yield f"scheduler:{operation}", "*"  # IAM knows no resource for it
        case "scheduler":
            schedule = f"{params['GroupName']}/{params['Name']}"
            yield f"scheduler:{operation}", f"arn:aws:scheduler:{place}:schedule/{schedule}"
        case _:
            yield f"{service}:{operation}", "*"


def _id(stack: Stack, role_arn: str) -> str:
    """The logical id of a role."""
    return next(id for id in stack.of_type("AWS::IAM::Role") if stack.arn(id) == role_arn)


def _matches(pattern: str, text: str) -> bool:
    """IAM: `*` is any characters, `?` one; actions are compared without regard to case."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.IGNORECASE if not pattern.startswith("arn:") else 0) is not None


def _tuple(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
