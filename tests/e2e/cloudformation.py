"""A template as CloudFormation would read it: enough of its functions for ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

NO_VALUE = object()


class _Loader(yaml.SafeLoader):
    """Takes `!Ref x` and friends for {"Ref": x}."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), _Loader)


class Stack:
    """A template with its parameters, as if deployed. `physical` are its resources' physical ids, as
    DescribeStackResources tells them; a resource without one has its logical id."""

    def __init__(
        self,
        template: Mapping[str, Any],
        *,
        parameters: Mapping[str, str] | None = None,
        physical: Mapping[str, str] | None = None,
        name: str = "stack",
        region: str = "us-east-1",
        account: str = "000000000000",
    ) -> None:
        self.template = template
        self.region = region
        self.account = account
        self._physical = physical or {}
        self._values = {
            "AWS::AccountId": account,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackName": name,
            **{key: str(each["Default"]) for key, each in template.get("Parameters", {}).items()},
            **(parameters or {}),
        }

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Its resources, without those whose condition does not hold; their properties resolved."""
        return {
            id: {**resource, "Properties": self.resolve(resource.get("Properties", {}))}
            for id, resource in self.template["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }

    def of_type(self, type: str) -> dict[str, dict[str, Any]]:
        """The properties of each resource of a type."""
        return {id: each["Properties"] for id, each in self.resources.items() if each["Type"] == type}

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            resolved = [self.resolve(item) for item in value]
            return [item for item in resolved if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function in _FUNCTIONS:
                return _FUNCTIONS[function](self, argument)
        resolved_items = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved_items.items() if item is not NO_VALUE}

    def ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        id, _, generated = name.partition(".")
        if generated:  # of SAM: Worker.Alias, Worker.Version
            return f"{self.arn(id)}:{'live' if generated == 'Alias' else '1'}"
        return self._physical.get(id, id)

    def arn(self, id: str) -> str:
        """The ARN of a resource, from its physical id."""
        kind = self.template["Resources"][id]["Type"]
        name = str(self._physical.get(id, id))
        if name.startswith("arn:"):
            return name
        bare = re.split(r"[/|]", name)[-1]  # SQS: its id is a URL; a rule's begins with its bus
        regional = f"{self.region}:{self.account}"
        match kind:
            case "AWS::DynamoDB::Table":
                return f"arn:aws:dynamodb:{regional}:table/{name}"
            case "AWS::SQS::Queue":
                return f"arn:aws:sqs:{regional}:{bare}"
            case "AWS::S3::Bucket":
                return f"arn:aws:s3:::{name}"
            case "AWS::IAM::Role":
                return f"arn:aws:iam::{self.account}:role/{name}"
            case "AWS::Logs::LogGroup":
                return f"arn:aws:logs:{regional}:log-group:{name}:*"
            case "AWS::Scheduler::ScheduleGroup":
                return f"arn:aws:scheduler:{regional}:schedule-group/{name}"
            case "AWS::Serverless::Function":
                return f"arn:aws:lambda:{regional}:function:{name}"
            case "AWS::Events::EventBus":
                return f"arn:aws:events:{regional}:event-bus/{name}"
            case "AWS::Events::Rule":
                bus = self.resolve(self.template["Resources"][id]["Properties"].get("EventBusName", ""))
                return f"arn:aws:events:{regional}:rule/{bus + '/' if bus else ''}{bare}"
        raise NotImplementedError(f"the ARN of a {kind}")

    def _get_att(self, argument: list[str]) -> str:
        id, attribute = argument
        if attribute == "Arn":
            return self.arn(id)
        assert attribute == "QueueName", attribute
        return self.arn(id).rpartition(":")[2]

    def _sub(self, argument: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found[1].startswith("!"):
                return f"${{{found[1][1:]}}}"
            name, dot, attribute = found[1].partition(".")
            return str(self._get_att([name, attribute]) if dot else self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, argument)

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self._holds(condition) else no)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, key, field = (self.resolve(each) for each in argument)
        return self.template["Mappings"][name][key][field]

    def _holds(self, condition: str) -> bool:
        return bool(self.resolve(self.template["Conditions"][condition]))


_FUNCTIONS = {
    "Ref": Stack.ref,
    "Fn::GetAtt": Stack._get_att,
    "Fn::Sub": Stack._sub,
    "Fn::If": Stack._if,
    "Fn::FindInMap": Stack._find_in_map,
    "Fn::Equals": lambda stack, argument: len({str(stack.resolve(each)) for each in argument}) == 1,
    "Fn::Not": lambda stack, argument: not stack.resolve(argument[0]),
    "Fn::And": lambda stack, argument: all(stack.resolve(each) for each in argument),
    "Condition": Stack._holds,
}
