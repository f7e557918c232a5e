"""The tasks: each plants secrets at places of its own and ends in a way of its own. A new option or module is one more entry here."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

QUIET_MARKET, BUSY_MARKET = "nvidia-a100-40gb", "nvidia-3060"

# What a job may do with a secret: print it as it is, quoted, in JSON, in a URL, in base64.
PRINTER = (
    "import base64, json, os, sys, urllib.parse\n"
    "for name in sorted(os.environ):\n"
    "    if name.startswith('JOB_'):\n"
    "        value = os.environ[name]\n"
    "        print(name, value)\n"
    "        print(repr(value), json.dumps(value), urllib.parse.quote(value, safe=''), urllib.parse.quote_plus(value))\n"
    "        print(base64.b64encode(value.encode()).decode(), base64.b64encode(value.encode() + b'\\n').decode(), file=sys.stderr)\n"
)


@dataclass(frozen=True)
class Case:
    """One task.

    fails: None where a run and a check differ. code: failure.code, None where Ansible itself refuses the options. shows: harmless text that
    must not be masked away.
    """

    name: str
    args: dict[str, Any]
    module: str = "nosana_job"
    fails: bool | None = False
    code: str | None = None
    shows: tuple[str, ...] = ()


def read(name: str, args: dict[str, Any], **expected: Any) -> Case:
    """nosana_job_info with all that it can tell."""
    return Case(name, {"include": ["definition", "result", "logs", "cost"], **args}, "nosana_job_info", **expected)


def plant(name: str) -> str:
    """A template, so that the secret comes from variables as in real life."""
    return "{{ plants." + name + " }}"


def definition(owner: str, **meta: Any) -> dict[str, Any]:
    """A definition with a secret at every place where the schema has room for one."""

    def of(place: str) -> str:
        return plant(f"{owner}_{place}")

    return {
        "version": "0.1",
        "type": "container",
        "meta": meta,
        "global": {"env": {"SHARED_SECRET": of("global_env")}, "variables": {"api_key": of("global_variable"), "MODEL": "mistral"}},
        "ops": [
            {
                "type": "container/run",
                "id": "one",
                "args": {
                    "image": "registry.example/team/model:1",
                    "cmd": [
                        "serve",
                        f"--api-key={of('cmd_flag')}",
                        "--token",
                        of("cmd_next"),
                        f"curl -H 'Authorization: Bearer {of('cmd_bearer')}' http://localhost && ADMIN_PASSWORD={of('cmd_assigned')} run",
                    ],
                    "env": {
                        "DB_PASSWORD": of("env_password"),
                        "HF_TOKEN": of("env_token"),
                        "TLS_KEY": of("env_pem"),
                        "PGPASS": "unused",
                        "PASS": of("env_short"),
                        "OPENAI": of("value_sk"),
                        "HUB": of("value_hf"),
                        "GIT": of("value_ghp"),
                        "AWS": of("value_aws"),
                        "SESSION": of("value_jwt"),
                        "SALT": of("value_hex"),
                        "BLOB": of("value_base64"),
                        "SOLANA": of("value_base58"),
                        "DATABASE_URL": f"postgres://app:{of('value_url_password')}@db.example/app",
                        "RPC": f"https://rpc.example/?api-key={of('value_url_query')}",
                        "MODEL_NAME": "mistral",
                        "MAX_TOKENS": "4096",
                        "TOKENIZERS_PARALLELISM": "false",
                    },
                    "authentication": {"docker": {"username": "somebody", "password": of("docker_password"), "server": "registry.example"}},
                    "resources": [
                        {
                            "type": "S3",
                            "target": "/data",
                            "url": f"https://s3.example/bucket?X-Amz-Signature={of('s3_url_signature')}",
                            "IAM": {"REGION": "eu-west-1", "ACCESS_KEY_ID": of("s3_id"), "SECRET_ACCESS_KEY": of("s3_secret")},
                        },
                        {"type": "HF", "repo": "mistralai/Mistral-7B-Instruct-v0.2", "target": "/model", "accessToken": of("hf_token")},
                    ],
                    "expose": [
                        {
                            "port": 8000,
                            "health_checks": [
                                {
                                    "type": "http",
                                    "path": "/health",
                                    "method": "GET",
                                    "expected_status": 200,
                                    "continuous": False,
                                    "headers": {
                                        "Authorization": f"Bearer {of('header_bearer')}",
                                        "Cookie": f"session={of('header_cookie')}",
                                    },
                                }
                            ],
                        }
                    ],
                },
            }
        ],
        "logistics": {
            "send": {"type": "api", "args": {"endpoint": f"https://send.example/hook?token={of('endpoint_query')}"}},
            "receive": {"type": "api-listen", "args": {}},
        },
    }


def printing_job(env: dict[str, str], *, exit_code: int = 0) -> dict[str, Any]:
    """A job that prints its environment and ends."""
    code = f"{PRINTER}sys.exit({exit_code})"
    args = {"image": "python:3.9-slim", "cmd": ["python3", "-c", code], "env": env}
    return {"version": "0.1", "type": "container", "ops": [{"type": "container/run", "id": "printer", "args": args}]}


def mistyped(owner: str) -> dict[str, Any]:
    """A definition that the schema refuses, at places that hold secrets."""
    document = definition(owner)
    args = document["ops"][0]["args"]
    args["authentication"]["docker"]["pasword"] = plant(f"{owner}_docker_password")
    args["env"]["HF_TOKEN"] = {"value": plant(f"{owner}_env_token")}
    args["resources"][1]["accessTokn"] = plant(f"{owner}_hf_token")
    return document


FOREIGN_ENV = {
    "JOB_PASSWORD": plant("foreign_env_password"),
    "JOB_PEM_KEY": plant("foreign_env_pem"),
    "JOB_HARMLESS": plant("foreign_value_sk"),
    "JOB_MODEL": "mistral",
}


def setup(who: str) -> list[Case]:
    """What somebody else did before: jobs whose secrets stand in no task that is looked at."""
    return [
        Case("foreign", {"name": f"{who}-foreign", "market": QUIET_MARKET, "job_definition": definition("foreign")}),
        Case(
            "foreign, done",
            {
                "name": f"{who}-foreign-done",
                "market": BUSY_MARKET,
                "job_definition": printing_job(FOREIGN_ENV),
                "wait_for": "completed",
                "wait_sleep": 0.3,
            },
        ),
        Case(
            "foreign, failed",
            {
                "name": f"{who}-foreign-failed",
                "market": BUSY_MARKET,
                "job_definition": printing_job(FOREIGN_ENV, exit_code=3),
                "wait_for": "completed",
                "wait_sleep": 0.3,
            },
            fails=True,
            code="job_failed",
        ),
    ]


def cases(relay: str, who: str, *, check: bool = False) -> list[Case]:
    """The tasks of the main runs.

    relay: host:port of the indiscreet server. who: keeps two runs' jobs apart. check: only those that check mode treats otherwise.
    """

    def named(name: str, *others: dict[str, Any], **args: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {"name": f"{who}-{name}"}
        for other in (*others, args):
            merged |= other
        return merged

    quiet: dict[str, Any] = {"market": QUIET_MARKET}
    finished: dict[str, Any] = {"market": BUSY_MARKET, "wait_for": "completed", "wait_sleep": 0.3}
    simple: dict[str, Any] = {"image": "busybox", **quiet}
    own, new = {"job_definition": definition("own")} | quiet, {"job_definition": definition("new")} | quiet
    job_env = {"JOB_PASSWORD": plant("job_env"), "JOB_PEM_KEY": plant("job_env_multiline"), "JOB_MODEL": "mistral"}
    printer = {"image": "python:3.9-slim", "command": ["python3", "-c", PRINTER], "env": job_env}
    rpc_keys = f"{plant('rpc_path')}?api-key={plant('rpc_query')}"
    rpc_user = f"me:{plant('rpc_password')}@{relay}"
    keyed = {"ipfs_jwt": plant("jwt")}
    ipfs = keyed | {
        "ipfs_api_url": f"http://{relay}/pass/{plant('ipfs_path')}",
        "ipfs_gateway_url": f"http://me:{plant('gateway_password')}@{relay}/pass/x/ipfs/",
    }
    broken = '{"env": {"A_TOKEN": "' + plant("broken_json") + '"'
    in_both = [
        # what was there before and is read back
        read("foreign, read", named("foreign"), shows=("mistral", "eu-west-1", "8000")),
        read("foreign, done, read", named("foreign-done"), shows=("JOB_MODEL mistral",)),
        read("foreign, failed, read", named("foreign-failed")),
        Case("foreign, over", named("foreign-done", simple)),
        Case("foreign, replaced", named("foreign", simple)),
        # a definition with everything
        Case("own, posted", named("own", own), shows=("mistral", "somebody")),
        Case("own, as JSON", named("own-json", quiet, job_definition="{{ definitions.own | to_json }}")),
        Case("own, changed", named("own", new)),
        Case("own, change refused", named("own", own, on_change="fail"), fails=None),
        read("own, read", named("own")),
        Case("short form", named("printer", printer, finished)),
        read("short form, read", named("printer")),
        Case("short form, failing", named("printer-fails", finished, job_definition=printing_job(job_env, exit_code=3)), fails=None),
        Case("IPFS keys", named("pinned", simple, ipfs)),
        Case("a JWT that is none", named("bad-jwt", simple, ipfs_jwt=plant("bad_jwt")), fails=True, code="invalid_input"),
        Case("own, removed", named("own", new, state="absent")),
    ]
    in_runs_only = [
        # the wallet and the servers
        read("wallet in base58", named("none", wallet="{{ wallet_base58 }}")),
        read("wallet as JSON", named("none", wallet="{{ wallet_json }}")),
        read("wallet as a file", named("none", wallet="{{ wallet_path }}")),
        read("wallet cut off", named("none", wallet="{{ wallet_base58[:-3] }}"), fails=True, code="invalid_wallet"),
        read("wallet array cut off", named("none", wallet="{{ wallet_json[:-5] }}"), fails=True, code="invalid_wallet"),
        read("RPC key in the query", named("none", rpc_url=f"http://{relay}/pass/x/?api-key={plant('rpc_query')}")),
        read("RPC key in the path", named("none", rpc_url=f"http://{relay}/pass/{plant('rpc_path')}/")),
        read("RPC password", named("none", rpc_url=f"http://{rpc_user}/pass/x/")),
        # failing early
        Case("schema", named("bad", quiet, job_definition=mistyped("own")), fails=True, code="invalid_definition"),
        Case("no JSON", named("bad", quiet, job_definition=broken), fails=True, code="invalid_definition"),
        Case("unknown option", named("bad", simple, walet=plant("mistyped_option")), fails=True),
        Case("wrong choice", named("bad", simple, state=plant("mistyped_choice")), fails=True),
        Case("wrong number", named("bad", simple, timeout=plant("mistyped_number"), env=job_env), fails=True),
        Case("env that is none", named("bad", simple, env="A_TOKEN " + plant("broken_env")), fails=True),
        Case("env with a dictionary", named("bad", simple, env={"A_TOKEN": {"x": plant("broken_env")}}), fails=True, code="invalid_input"),
        Case("two names", named("bad", quiet, job_definition=definition("own", name="other")), fails=True, code="invalid_input"),
        Case("a token as market", named("bad", simple, market=plant("own_value_sk")), fails=True, code="not_found"),
        Case("a token as name", simple | {"name": plant("own_value_hf"), "timeout": 0}, fails=True, code="invalid_input"),
        # failing late
        Case("RPC down", named("bad", simple, rpc_url=f"http://127.0.0.1:1/{rpc_keys}"), fails=True, code="unreachable"),
        Case("RPC tells all", named("bad", simple, rpc_url=f"http://{relay}/tell/{rpc_keys}"), fails=True, code="refused"),
        Case("RPC tells a password", named("bad", simple, rpc_url=f"http://{rpc_user}/tell/"), fails=True, code="refused"),
        Case("RPC refuses", named("bad", simple, rpc_url=f"http://{relay}/refuse/{rpc_keys}"), fails=True, code="refused"),
        Case("RPC moves", named("bad", simple, rpc_url=f"http://{relay}/move/{rpc_keys}"), fails=True),
        Case("RPC URL that is none", named("bad", simple, rpc_url=f"htp://x@[{rpc_keys}"), fails=True, code="invalid_input"),
        Case("API refuses", named("bad", simple, api_url=f"http://{relay}/refuse/?token={plant('api_query')}"), fails=True),
        Case(
            "IPFS down",
            named("late", own, keyed, ipfs_api_url=f"http://127.0.0.1:1/?key={plant('ipfs_query')}"),
            fails=True,
            code="unreachable",
        ),
        Case("IPFS refuses", named("late", own, keyed, ipfs_api_url=f"http://{relay}/refuse"), fails=True, code="refused"),
        Case("IPFS fails", named("late", own, keyed, ipfs_api_url=f"http://{relay}/fail"), fails=True, code="refused"),
        Case("too little money", named("late", own, timeout=99999999), fails=True, code="insufficient_funds"),
    ]
    return in_both if check else in_both + in_runs_only
