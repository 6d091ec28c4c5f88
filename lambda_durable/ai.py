"""Models on Amazon Bedrock, asked by durable steps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, get_origin, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from .durations import Duration, parse_duration
from .errors import ConfigurationError, NonRetriableError, type_name
from .step_info import running_step

__all__ = ["AnswerError", "Model", "Prompt", "Reply", "Usage"]

T = TypeVar("T")

Prompt = str | Sequence[Mapping[str, Any]]
"""A text, or the `messages` of Bedrock's Converse API."""

TOOL = "answer"
"""The tool that a model has to call with a typed answer."""

WRAPPED = "value"
"""The property that holds an answer which is no JSON object: what a tool takes is one."""

LEAST_LEFT = 3.0
"""Seconds of a Lambda's time that are kept for what comes after an answer."""

_UNUSUAL = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,.-]")
"""What Bedrock takes in no value of requestMetadata."""


class AnswerError(Exception):
    """A model did not answer as its `output` says, though it was told what was wrong. A retry may do."""


class Usage(BaseModel):
    """Tokens that were paid for. Those read from and written to a prompt cache are not among `input_tokens`."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{name: mine[name] + theirs[name] for name in mine})


class Reply(BaseModel, Generic[T]):
    """A model's answer, and what it took. As a step's output it is in the journal, and in `lambda-durable show`.

    `output` is what was asked for, or else the text. `calls` are those of the model, corrections included, and
    `usage` and `latency_ms` (Bedrock's) those of all of them.
    """

    output: T
    text: str
    model: str
    usage: Usage
    latency_ms: int
    calls: int
    stop_reason: str


class Model(Generic[T]):
    """A model on Bedrock, and how it is asked. Hand it to a step as its function, `ctx.step.run("plan", model, prompt)`
    or `ctx.step.map("all", model, prompts)`. What comes back is a Reply.

    `id` is a model's or an inference profile's. `output` is the type of the answer (a pydantic model, say): the model
    is made to call a tool with its schema, and told up to `corrections` times what is wrong. `settings` are further
    parameters of Converse (`guardrailConfig`, ...). An answer may take `timeout`, and never longer than the Lambda has
    left. `endpoint_url` is another Bedrock than the region's (boto3 also knows AWS_ENDPOINT_URL_BEDROCK_RUNTIME).

    A model that is busy is a RetryAfterError, after as long as it asks for; one that fails is retried by the step's
    policy; a request that it does not take is a NonRetriableError. Prompts and answers are not logged, and stand in
    no error.
    """

    @overload
    def __init__(
        self: Model[str],
        id: str,
        *,
        system: str | None = None,
        max_tokens: int = 1024,
        temperature: float | None = None,
        settings: Mapping[str, Any] | None = None,
        timeout: Duration = "50s",
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Model[T],
        id: str,
        *,
        output: type[T],
        system: str | None = None,
        max_tokens: int = 1024,
        temperature: float | None = None,
        corrections: int = 2,
        settings: Mapping[str, Any] | None = None,
        timeout: Duration = "50s",
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        id: str,
        *,
        output: Any = None,
        system: str | None = None,
        max_tokens: int = 1024,
        temperature: float | None = None,
        corrections: int = 2,
        settings: Mapping[str, Any] | None = None,
        timeout: Duration = "50s",
        region: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if not isinstance(id, str) or not id:
            raise ConfigurationError(f"a Model has the id of one on Bedrock, and this is {id!r}")
        for name, value, least in (("max_tokens", max_tokens, 1), ("corrections", corrections, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigurationError(
                    f"{name}= of model {id!r} is a whole number from {least}, and this is {value!r}"
                )
        self.id = id
        self._max_tokens = max_tokens
        self._corrections = corrections
        self._timeout = parse_duration(timeout, f"Model({id!r}, timeout=)").total_seconds()
        if self._timeout <= 0:
            raise ConfigurationError(
                f"timeout= of model {id!r} is more than nothing, and this is {timeout!r}"
            )
        self._region = region
        self._endpoint_url = endpoint_url
        self._shape = _Shape(id, output) if output is not None else None
        self._fixed = _fixed(id, system, max_tokens, temperature, self._shape, settings)
        # The type of a step's result is what the annotation of its function says.
        self._reply: Any = Reply.__class_getitem__(str if output is None else output)
        self.__wrapped__ = _annotated(self._ask, self._reply)

    def __call__(self, prompt: Prompt, /) -> Reply[T]:
        return self._ask(prompt)

    def _ask(self, prompt: Prompt) -> Reply[T]:
        from .aws.bedrock import converse

        messages = _messages(prompt)
        usage, latency, step = Usage(), 0, running_step.get()
        wrong = ""
        for call in range(1, self._corrections + 2):
            answer = converse(
                {**self._fixed, **_metadata(), "messages": messages},
                attempt=step.attempt if step is not None else 1,
                timeout=self._time_left(),
                endpoint_url=self._endpoint_url,
                region=self._region,
            )
            usage += _usage(answer)
            latency += answer["metrics"]["latencyMs"]
            self._check_stop(answer["stopReason"])
            said = answer["output"]["message"]
            text = "".join(block.get("text", "") for block in said["content"])
            try:
                output = self._shape.read(said) if self._shape is not None else text
            except _Wrong as error:
                wrong = str(error)
                messages = [*messages, said, error.correction]
                continue
            reply: Reply[T] = self._reply(
                output=output,
                text=text,
                model=self.id,
                usage=usage,
                latency_ms=latency,
                calls=call,
                stop_reason=answer["stopReason"],
            )
            return reply
        raise AnswerError(
            f"model {self.id} was asked {self._corrections + 1} times ({usage.total_tokens} tokens), and its answer is "
            f"not what output= says: {wrong}"
        )

    def _time_left(self) -> float:
        """Seconds that the answer may take. Fewer than the timeout are whole, so that few clients are made."""
        step = running_step.get()
        left = step.remaining_time - LEAST_LEFT if step is not None else self._timeout
        return self._timeout if left >= self._timeout else float(max(int(left), 1))

    def _check_stop(self, reason: str) -> None:
        if reason in ("guardrail_intervened", "content_filtered"):
            raise NonRetriableError(f"model {self.id} gave no answer: {reason}")
        if reason == "max_tokens" and self._shape is not None:
            raise NonRetriableError(
                f"the answer of model {self.id} is longer than max_tokens={self._max_tokens}; raise it"
            )
        if reason == "model_context_window_exceeded":
            raise NonRetriableError(f"the prompt is longer than what model {self.id} takes ({reason})")

    def __repr__(self) -> str:
        return f"Model({self.id!r})"


class _Wrong(Exception):
    """An answer that is not what was asked for, and the message that tells the model so."""

    def __init__(self, why: str, correction: Mapping[str, Any]) -> None:
        super().__init__(why)
        self.correction = correction


class _Shape:
    """What an answer is to be: a type as a tool's schema, and what a model made of it."""

    def __init__(self, model: str, output: Any) -> None:
        try:
            if not isinstance(output, type) and get_origin(output) is None:
                raise TypeError(f"{output!r} is no type")
            self._adapter: TypeAdapter[Any] = TypeAdapter(output)
            schema = self._adapter.json_schema()
        except Exception as error:
            raise ConfigurationError(
                f"output= of model {model!r} is a type with a JSON schema: {error}"
            ) from error
        self._wrapped = schema.get("type") != "object" and "$ref" not in schema
        if self._wrapped:
            definitions = schema.pop("$defs", None)
            schema = {"type": "object", "properties": {WRAPPED: schema}, "required": [WRAPPED]}
            if definitions:
                schema["$defs"] = definitions
        self.tools = {
            "tools": [
                {
                    "toolSpec": {
                        "name": TOOL,
                        "description": "Give your answer with this.",
                        "inputSchema": {"json": schema},
                    }
                }
            ],
            "toolChoice": {"tool": {"name": TOOL}},
        }

    def read(self, said: Mapping[str, Any]) -> Any:
        """The answer. Raises _Wrong."""
        used = next((block["toolUse"] for block in said["content"] if "toolUse" in block), None)
        if used is None:
            raise _Wrong("it used no tool", _from_user({"text": f"Give your answer with the tool `{TOOL}`."}))
        given = used["input"]
        try:
            if self._wrapped:
                given = given[WRAPPED]
            return self._adapter.validate_json(json.dumps(given))
        except ValidationError as error:
            # What is wrong with it, and where: not what it is.
            why = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False, include_context=False)
            )
        except (KeyError, TypeError, ValueError):
            why = f"it has no {WRAPPED!r}" if self._wrapped else "it is no JSON object"
        result = {
            "toolUseId": used["toolUseId"],
            "content": [{"text": f"Not accepted: {why}"}],
            "status": "error",
        }
        raise _Wrong(why, _from_user({"toolResult": result}))


def _fixed(
    model: str,
    system: str | None,
    max_tokens: int,
    temperature: float | None,
    shape: _Shape | None,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is the same in every request."""
    inference: dict[str, Any] = {"maxTokens": max_tokens}
    if temperature is not None:
        inference["temperature"] = temperature
    fixed: dict[str, Any] = {"modelId": model, "inferenceConfig": inference}
    if system is not None:
        fixed["system"] = [{"text": system}]
    if shape is not None:
        fixed["toolConfig"] = shape.tools
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigurationError(
            f"settings= of model {model!r} are parameters of Converse, and this is {settings!r}"
        )
    taken = fixed.keys() & (settings or {}).keys() | ({"messages"} & (settings or {}).keys())
    if taken:
        raise ConfigurationError(
            f"settings= of model {model!r} has {', '.join(sorted(taken))}, for which there is an argument"
        )
    return {**fixed, **(settings or {})}


def _messages(prompt: Any) -> list[Mapping[str, Any]]:
    if isinstance(prompt, str):
        return [_from_user({"text": prompt})]
    messages = list(prompt) if isinstance(prompt, Sequence) else []
    if not messages or not all(isinstance(message, Mapping) for message in messages):
        kind = type_name(type(prompt))  # not what is in it: that is for the model alone
        raise ConfigurationError(
            f"a model takes a text, or a list of Converse's messages, and this is a {kind}"
        )
    return messages


def _from_user(block: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"role": "user", "content": [block]}


def _metadata() -> dict[str, Any]:
    """Which run and step ask, for the account's log of model invocations."""
    step = running_step.get()
    if step is None:
        return {}
    told = {"run_id": step.run_id, "step_id": step.step_id, "attempt": str(step.attempt)}
    return {"requestMetadata": {key: _UNUSUAL.sub("_", value)[:256] for key, value in told.items()}}


def _usage(answer: Mapping[str, Any]) -> Usage:
    told = answer["usage"]
    return Usage(
        input_tokens=told["inputTokens"],
        output_tokens=told["outputTokens"],
        cache_read_tokens=told.get("cacheReadInputTokens", 0),
        cache_write_tokens=told.get("cacheWriteInputTokens", 0),
    )


def _annotated(ask: Callable[[Prompt], Any], returns: Any) -> Callable[[Prompt], Any]:
    def model(prompt: Prompt) -> Any:
        return ask(prompt)

    model.__annotations__ = {"return": returns}
    return model
