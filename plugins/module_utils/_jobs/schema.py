"""The network's job definition schema as strict pydantic models, with errors under the paths of the network's own validator."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

# mypy: disable-error-code="valid-type"
# Unions are built by a function, which pydantic evaluates and mypy cannot.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union

from .._libraries import pydantic

# Errors are addressed as the network's own validator does it: unknown keys are errors at every level except in free maps, null is never
# a value, and of a union the variant is chosen by what tells it apart; where nothing does, the error stands at the place of the value.
# Optional fields are declared with a default and without None, because a default is not validated and null is refused.

_LITERAL_PORT = re.compile(r"^%%(ops|global).[^%]+%%$")
_ABSENT: Any = pydantic.Field(default=None)
_ABSENT_GLOBAL: Any = pydantic.Field(default=None, alias="global")

# Tags of union variants stand in the locations of pydantic's errors; this mark tells them from keys of the document.
TAG = "\0"


def _choice(choose: Callable[[Any], str | None], **variants: Any) -> Any:
    """A union of which `choose` names the variant; None means that the value fits none."""
    tagged = tuple(Annotated[variant, pydantic.Tag(TAG + name)] for name, variant in variants.items())

    def tag(value: Any) -> str | None:
        name = choose(value)
        return None if name is None or name not in variants else TAG + name

    return Annotated[Union[tagged], pydantic.Discriminator(tag)]


def _shape(value: Any) -> str | None:
    """The JSON type of a value."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, (list, tuple)) else "object" if isinstance(value, dict) else None


def _kind(value: Any) -> str | None:
    """The value of the key `type`, by which several unions are told apart."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


Number = float  # in strict mode integers pass as well, booleans do not
TextOrArray = _choice(_shape, text=str, array=list[str])
TextMap = dict[str, str]


# --- meta ------------------------------------------------------------------------------------------------------------

_TextOrNumber = _choice(_shape, text=str, number=Number)
_MetaInner = _choice(_shape, text=str, number=Number, array=list[_TextOrNumber])
_MetaValue = _choice(_shape, text=str, number=Number, array=list[_TextOrNumber], object=dict[str, _MetaInner])


class Meta(pydantic.BaseModel):
    """Free keys with simple values; `name` is what the collection identifies a job by."""

    model_config = pydantic.ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, _MetaValue] = pydantic.Field(init=False)

    trigger: str = _ABSENT
    system_resources: dict[str, _TextOrNumber] = _ABSENT


# --- exposed ports ---------------------------------------------------------------------------------------------------


class Spread(_Model):
    """A marker that the host replaces by a list."""

    spread: str = pydantic.Field(alias="__spread__")
    chunked: bool = _ABSENT


class HttpHealthCheck(_Model):
    type: Literal["http"]
    path: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    expected_status: Number
    headers: TextMap = _ABSENT
    body: Any = None
    continuous: bool


class WebSocketHealthCheck(_Model):
    type: Literal["websocket"]
    expected_response: str
    continuous: bool


class ExposedPort(_Model):
    port: Number
    type: Literal["api", "web", "webapi", "websocket", "none"] = _ABSENT
    health_checks: list[_choice(_kind, http=HttpHealthCheck, websocket=WebSocketHealthCheck)] = _ABSENT


def _exposed(value: Any) -> str | None:
    if isinstance(value, dict):
        return "spread" if "__spread__" in value else "port" if "port" in value else None
    return _shape(value)


LiteralPort = Annotated[str, pydantic.StringConstraints(pattern=_LITERAL_PORT)]
_PortEntry = _choice(_exposed, number=Number, text=LiteralPort, spread=Spread, port=ExposedPort)


def _ports_differ(entries: list[Any]) -> list[Any]:
    ports = [entry.port if isinstance(entry, ExposedPort) else entry for entry in entries if not isinstance(entry, Spread)]
    if len(set(ports)) != len(ports):
        raise ValueError("ports that differ")
    return entries


_PortArray = Annotated[list[_PortEntry], pydantic.AfterValidator(_ports_differ)]
Expose = _choice(_exposed, number=Number, text=LiteralPort, spread=Spread, port=ExposedPort, array=_PortArray)


# --- resources -------------------------------------------------------------------------------------------------------


class Iam(_Model):
    REGION: str
    ACCESS_KEY_ID: str
    SECRET_ACCESS_KEY: str


class _S3(_Model):
    type: Literal["S3"]
    target: str
    url: str = _ABSENT
    allowWrite: bool = _ABSENT
    IAM: Iam = _ABSENT


class S3(_S3):
    files: list[str] = _ABSENT


class S3WithBucket(_S3):
    bucket: str


class Bucket(_Model):
    url: str
    files: list[str] = _ABSENT


class S3WithBuckets(_S3):
    buckets: list[Bucket]


class HuggingFace(_Model):
    type: Literal["HF"]
    repo: str
    target: str
    revision: str = _ABSENT
    files: list[str] = _ABSENT
    accessToken: str = _ABSENT


class Ollama(_Model):
    type: Literal["Ollama"]
    model: str
    target: str = _ABSENT


def _resource(value: Any) -> str | None:
    if isinstance(value, dict) and "__spread__" in value:
        return "spread"
    if _kind(value) == "S3":
        return "S3_bucket" if "bucket" in value else "S3_buckets" if "buckets" in value else "S3"
    return _kind(value) or ("text" if isinstance(value, str) else None)


Resource = _choice(
    _resource,
    spread=Spread,
    text=Literal["__remove-if-empty__"],
    S3=S3,
    S3_bucket=S3WithBucket,
    S3_buckets=S3WithBuckets,
    HF=HuggingFace,
    Ollama=Ollama,
)


# --- ops -------------------------------------------------------------------------------------------------------------


class RestartOnFailure(_Model):
    policy: Literal["on-failure"]
    restart_tries: Number = _ABSENT


class Volume(_Model):
    name: str
    dest: str


class DockerLogin(_Model):
    username: str = _ABSENT
    password: str = _ABSENT
    email: str = _ABSENT
    server: str = _ABSENT


class Authentication(_Model):
    docker: DockerLogin = _ABSENT


class ContainerRun(_Model):
    image: str
    aliases: TextOrArray = _ABSENT
    cmd: TextOrArray = _ABSENT
    entrypoint: TextOrArray = _ABSENT
    env: TextMap = _ABSENT
    work_dir: str = _ABSENT
    gpu: bool = _ABSENT
    private: bool = _ABSENT
    volumes: list[Volume] = _ABSENT
    expose: Expose = _ABSENT
    restart_policy: _choice(_shape, text=Literal["no", "always", "unless-stopped", "on-failure"], object=RestartOnFailure) = _ABSENT
    resources: list[Resource] = _ABSENT
    authentication: Authentication = _ABSENT


class ContainerCreateVolume(_Model):
    name: str


class ResultPattern(_Model):
    regex: str
    logType: Annotated[list[Literal["stdin", "stdout", "stderr", "nodeerr"]], pydantic.Field(min_length=1, max_length=4)]

    @pydantic.field_validator("logType")
    @classmethod
    def _types_differ(cls, types: list[str]) -> list[str]:
        if len(set(types)) != len(types):
            raise ValueError("log types that differ")
        return types


class Execution(_Model):
    group: str = _ABSENT


class DependentExecution(Execution):
    depends_on: list[str]
    stop_if_dependent_stops: bool = _ABSENT


class Op(_Model):
    """One container, or one volume; which of them is told by its args alone."""

    type: Literal["container/run", "container/create-volume"]
    id: Annotated[str, pydantic.StringConstraints(pattern=r"^[^ ]*$")]
    args: _choice(
        lambda value: ("run" if "image" in value else "volume" if "name" in value else None) if isinstance(value, dict) else None,
        run=ContainerRun,
        volume=ContainerCreateVolume,
    )
    results: dict[str, _choice(_shape, text=str, object=ResultPattern)] = _ABSENT
    execution: _choice(
        lambda value: ("dependent" if "depends_on" in value else "free") if isinstance(value, dict) else None,
        dependent=DependentExecution,
        free=Execution,
    ) = _ABSENT


def _ids_differ(ops: list[Op]) -> list[Op]:
    if len({op.id for op in ops}) != len(ops):
        raise ValueError("ops whose ids differ")
    return ops


# --- the definition --------------------------------------------------------------------------------------------------


class Global(_Model):
    image: str = _ABSENT
    gpu: bool = _ABSENT
    entrypoint: TextOrArray = _ABSENT
    env: TextMap = _ABSENT
    work_dir: str = _ABSENT
    variables: TextMap = _ABSENT


class LogisticArgs(_Model):
    endpoint: str = _ABSENT


class Logistic(_Model):
    type: Literal["api", "api-listen"]
    args: LogisticArgs


class Logistics(_Model):
    send: Logistic
    receive: Logistic


class JobDefinition(_Model):
    """A whole definition."""

    version: Literal["0.1"]
    type: Literal["container"]
    ops: Annotated[list[Op], pydantic.AfterValidator(_ids_differ)]
    meta: Meta = _ABSENT
    global_: Global = _ABSENT_GLOBAL
    logistics: Logistics = _ABSENT
    deployment_id: str = _ABSENT
