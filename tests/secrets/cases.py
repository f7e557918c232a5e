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
    must not be masked away. in_check: whether check mode makes a difference, so that the task is run in both.
    """

    name: str
    args: dict[str, Any]
    module: str = "nosana_job"
    fails: bool | None = False
    code: str | None = None
    shows: tuple[str, ...] = ()
    in_check: bool = True


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


def cases(relay: str, who: str) -> list[Case]:
    """The tasks of the main runs; `relay` is host:port of the indiscreet server, `who` keeps two runs' jobs apart."""
    everything = ["definition", "result", "logs", "cost"]
    simple: dict[str, Any] = {"name": f"{who}-simple", "image": "busybox", "market": QUIET_MARKET}
    job_env = {"JOB_PASSWORD": plant("job_env"), "JOB_PEM_KEY": plant("job_env_multiline"), "JOB_MODEL": "mistral"}
    rpc_query, rpc_path = plant("rpc_query"), plant("rpc_path")
    return [
        # what was there before and is read back
        Case("foreign, read", {"name": f"{who}-foreign", "include": everything}, "nosana_job_info", shows=("mistral", "eu-west-1", "8000")),
        Case(
            "foreign, done, read", {"name": f"{who}-foreign-done", "include": everything}, "nosana_job_info", shows=("JOB_MODEL mistral",)
        ),
        Case("foreign, failed, read", {"name": f"{who}-foreign-failed", "include": everything}, "nosana_job_info"),
        Case("foreign, over", simple | {"name": f"{who}-foreign-done"}),
        Case("foreign, replaced", simple | {"name": f"{who}-foreign"}),
        # a definition with everything
        Case(
            "own, posted",
            {"name": f"{who}-own", "market": QUIET_MARKET, "job_definition": definition("own")},
            shows=("mistral", "somebody"),
        ),
        Case("own, as JSON", {"name": f"{who}-own-json", "market": QUIET_MARKET, "job_definition": "{{ definitions.own | to_json }}"}),
        Case("own, changed", {"name": f"{who}-own", "market": QUIET_MARKET, "job_definition": definition("new")}),
        Case(
            "own, change refused",
            {"name": f"{who}-own", "market": QUIET_MARKET, "job_definition": definition("own"), "on_change": "fail"},
            fails=None,
        ),
        Case("own, read", {"name": f"{who}-own", "include": everything}, "nosana_job_info"),
        Case(
            "short form",
            {
                "name": f"{who}-printer",
                "image": "python:3.9-slim",
                "command": ["python3", "-c", PRINTER],
                "env": job_env,
                "market": BUSY_MARKET,
                "wait_for": "completed",
                "wait_sleep": 0.3,
            },
        ),
        Case("short form, read", {"name": f"{who}-printer", "include": everything}, "nosana_job_info"),
        Case(
            "short form, failing",
            {
                "name": f"{who}-printer-fails",
                "market": BUSY_MARKET,
                "job_definition": printing_job(job_env, exit_code=3),
                "wait_for": "completed",
                "wait_sleep": 0.3,
            },
            fails=None,
        ),
        # the wallet and the servers
        Case("wallet in base58", {"wallet": "{{ wallet_base58 }}", "name": "none"}, "nosana_job_info", in_check=False),
        Case("wallet as JSON", {"wallet": "{{ wallet_json }}", "name": "none"}, "nosana_job_info", in_check=False),
        Case("wallet as a file", {"wallet": "{{ wallet_path }}", "name": "none"}, "nosana_job_info", in_check=False),
        Case(
            "wallet cut off",
            {"wallet": "{{ wallet_base58[:-3] }}", "name": "none"},
            "nosana_job_info",
            True,
            "invalid_wallet",
            in_check=False,
        ),
        Case(
            "wallet array cut off",
            {"wallet": "{{ wallet_json[:-5] }}", "name": "none"},
            "nosana_job_info",
            True,
            "invalid_wallet",
            in_check=False,
        ),
        Case(
            "RPC key in the query",
            {"rpc_url": f"http://{relay}/pass/x/?api-key={rpc_query}", "name": "none"},
            "nosana_job_info",
            in_check=False,
        ),
        Case("RPC key in the path", {"rpc_url": f"http://{relay}/pass/{rpc_path}/", "name": "none"}, "nosana_job_info", in_check=False),
        Case(
            "RPC password",
            {"rpc_url": f"http://me:{plant('rpc_password')}@{relay}/pass/x/", "name": "none"},
            "nosana_job_info",
            in_check=False,
        ),
        Case(
            "IPFS keys",
            simple
            | {
                "name": f"{who}-pinned",
                "ipfs_api_url": f"http://{relay}/pass/{plant('ipfs_path')}",
                "ipfs_gateway_url": f"http://me:{plant('gateway_password')}@{relay}/pass/x/ipfs/",
                "ipfs_jwt": plant("jwt"),
            },
        ),
        # failing early
        Case(
            "schema",
            {"name": "bad", "market": QUIET_MARKET, "job_definition": mistyped("own")},
            fails=True,
            code="invalid_definition",
            in_check=False,
        ),
        Case(
            "no JSON",
            {"name": "bad", "job_definition": '{"env": {"A_TOKEN": "' + plant("broken_json") + '"'},
            fails=True,
            code="invalid_definition",
            in_check=False,
        ),
        Case("unknown option", simple | {"walet": plant("mistyped_option")}, fails=True, in_check=False),
        Case("wrong choice", simple | {"state": plant("mistyped_choice")}, fails=True, in_check=False),
        Case("wrong number", simple | {"timeout": plant("mistyped_number"), "env": job_env}, fails=True, in_check=False),
        Case("env that is none", simple | {"env": "A_TOKEN " + plant("broken_env")}, fails=True, in_check=False),
        Case(
            "env with a dictionary",
            simple | {"env": {"A_TOKEN": {"x": plant("broken_env")}}},
            fails=True,
            code="invalid_input",
            in_check=False,
        ),
        Case(
            "two names",
            {"name": "bad", "job_definition": definition("own", name="other")},
            fails=True,
            code="invalid_input",
            in_check=False,
        ),
        Case("a token as market", simple | {"market": plant("own_value_sk")}, fails=True, code="not_found", in_check=False),
        Case("a token as name", simple | {"name": plant("own_value_hf"), "timeout": 0}, fails=True, code="invalid_input", in_check=False),
        Case("a JWT that is none", simple | {"name": f"{who}-bad-jwt", "ipfs_jwt": plant("bad_jwt")}, fails=None, in_check=False),
        # failing late
        Case(
            "RPC down",
            simple | {"rpc_url": f"http://127.0.0.1:1/{rpc_path}?api-key={rpc_query}"},
            fails=True,
            code="unreachable",
            in_check=False,
        ),
        Case(
            "RPC tells all",
            simple | {"rpc_url": f"http://{relay}/tell/{rpc_path}?api-key={rpc_query}"},
            fails=True,
            code="refused",
            in_check=False,
        ),
        Case(
            "RPC tells a password",
            simple | {"rpc_url": f"http://me:{plant('rpc_password')}@{relay}/tell/"},
            fails=True,
            code="refused",
            in_check=False,
        ),
        Case(
            "RPC refuses",
            simple | {"rpc_url": f"http://{relay}/refuse/{rpc_path}?api-key={rpc_query}"},
            fails=True,
            code="refused",
            in_check=False,
        ),
        Case("RPC moves", simple | {"rpc_url": f"http://{relay}/move/{rpc_path}?api-key={rpc_query}"}, fails=True, in_check=False),
        Case(
            "RPC URL that is none",
            simple | {"rpc_url": f"htp://{rpc_path}@[?api-key={rpc_query}"},
            fails=True,
            code="invalid_input",
            in_check=False,
        ),
        Case("API refuses", simple | {"api_url": f"http://{relay}/refuse/?token={plant('api_query')}"}, fails=True, in_check=False),
        Case(
            "IPFS down",
            {
                "name": f"{who}-late-1",
                "market": QUIET_MARKET,
                "job_definition": definition("own"),
                "ipfs_api_url": f"http://127.0.0.1:1/?key={plant('ipfs_query')}",
                "ipfs_jwt": plant("jwt"),
            },
            fails=None,
            code="unreachable",
            in_check=False,
        ),
        Case(
            "IPFS refuses",
            {
                "name": f"{who}-late-2",
                "market": QUIET_MARKET,
                "job_definition": definition("own"),
                "ipfs_api_url": f"http://{relay}/refuse",
                "ipfs_jwt": plant("jwt"),
            },
            fails=None,
            code="refused",
            in_check=False,
        ),
        Case(
            "IPFS fails",
            {
                "name": f"{who}-late-3",
                "market": QUIET_MARKET,
                "job_definition": definition("own"),
                "ipfs_api_url": f"http://{relay}/fail",
                "ipfs_jwt": plant("jwt"),
            },
            fails=None,
            code="refused",
            in_check=False,
        ),
        Case(
            "too little money",
            {"name": f"{who}-late-4", "market": QUIET_MARKET, "job_definition": definition("own"), "timeout": 99999999},
            fails=True,
            code="insufficient_funds",
            in_check=False,
        ),
        Case("own, removed", {"name": f"{who}-own", "state": "absent", "job_definition": definition("new")}),
    ]
