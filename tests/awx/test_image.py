"""The execution environment, built of its definition by ansible-builder and podman; playbooks run inside the image as AWX runs them.

Nothing is fetched from an image registry: the base image is made of this machine, and the collection is this checkout's artefact.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import base_image
import pytest
import yaml
from conftest import BIN, COLLECTION, MARKET, ULIMITS, Awx

DEFINITION = Path(os.environ["NOSANA_EXAMPLES"]) / "execution-environment.yml"
BASE = f"localhost/nosana-ee-base:{os.getpid()}"
IMAGE = f"localhost/nosana-ee:{os.getpid()}"
# What ansible-builder installs beside what a definition names.
BUILDERS_OWN = ("bindep", "pyyaml", "packaging", "dumb-init==1.2.5")
BUILD_SECONDS = 600
RUN = ("run", "--rm", "--pull=never", *ULIMITS)


def run(*command: str, seconds: float = 120, folder: Path | None = None) -> str:
    """A command's output; a failure of the test with its last words, when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NOSANA_", "PYTHONPATH", "ANSIBLE_"))}
    ended = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
    )
    if ended.returncode:
        pytest.fail(f"{' '.join(command[:3])} … ended with {ended.returncode}:\n{(ended.stdout + ended.stderr)[-3000:]}", pytrace=False)
    return ended.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    described = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    wheels, dependencies = folder / "wheels", described["dependencies"]
    wanted = [dependencies["ansible_core"]["package_pip"], dependencies["ansible_runner"]["package_pip"], *BUILDERS_OWN]
    requirements = str(COLLECTION / "meta" / "ee-requirements.txt")
    try:
        run(sys.executable, "-m", "pip", "wheel", "-q", "-w", str(wheels), "-r", requirements, *wanted, seconds=BUILD_SECONDS)
        base_image.write(folder / "base.tar", wheels)
        run("podman", "import", *base_image.settings(), str(folder / "base.tar"), BASE)
        run("podman", *RUN, "--network=none", BASE, "/bin/true")
        run(str(BIN / "ansible-galaxy"), "collection", "build", str(COLLECTION), "--output-path", str(folder))
        (artefact,) = folder.glob("nosana-compute-*.tar.gz")
        # Of the definition only the collection's source is another; base image and its Python are arguments of the build.
        dependencies["galaxy"] = {"collections": [{"name": f"artefact/{artefact.name}", "type": "file"}]}
        described["additional_build_files"] = [{"src": artefact.name, "dest": "artefact"}]
        (folder / "definition.yml").write_text(yaml.safe_dump(described), encoding="utf-8")
        arguments = [f"EE_BASE_IMAGE={BASE}", f"PYCMD={base_image.PYTHON_IN_IMAGE}"]
        build = [
            str(BIN / "ansible-builder"),
            "build",
            "-f",
            "definition.yml",
            "-c",
            "context",
            "-t",
            IMAGE,
            "--container-runtime",
            "podman",
        ]
        build += [word for argument in arguments for word in ("--build-arg", argument)]
        build += ["--extra-build-cli-args", " ".join(["--pull=never", "--network=none", "--layers=false", *ULIMITS])]
        run(*build, seconds=BUILD_SECONDS, folder=folder)
        yield IMAGE
    finally:
        for name in (IMAGE, BASE):
            subprocess.run(["podman", "rmi", "--force", name], capture_output=True, check=False)


@pytest.fixture
def awx_in(awx: Awx, image: str) -> Awx:
    """The controller, whose runs are in the image."""
    awx.image = image
    return awx


def test_the_image_has_the_collection_and_its_libraries_and_nothing_of_the_build(image: str) -> None:
    run("podman", *RUN, "--network=none", image, base_image.PYTHON_IN_IMAGE, "-c", "import solders, pydantic, httpx, websockets")
    listed = json.loads(run("podman", *RUN, "--network=none", image, "ansible-galaxy", "collection", "list", "--format", "json"))
    # ansible-core has one of its own.
    assert [name for folder in listed.values() for name in folder if not name.startswith("ansible.")] == ["nosana.compute"]
    left = "id -u; test -e /output || echo gone"
    assert run("podman", *RUN, "--network=none", image, "sh", "-c", left).split() == ["1000", "gone"]


def test_a_job_from_posting_to_removal_inside_the_image(awx_in: Awx) -> None:
    survey = {"nosana_name": "inside", "nosana_image": "python:3.9-slim", "nosana_command": "echo from the image", "nosana_market": MARKET}
    checked = awx_in.run("post", "--check", "--diff", **survey)
    assert (checked.status, checked.changed) == ("successful", 1), checked.output
    assert awx_in.jobs() == []
    posted = awx_in.run("post", "--diff", **survey)
    assert (posted.status, posted.posted()) == ("successful", {"inside": True}), posted.output
    (job,) = awx_in.jobs()
    assert posted.artifacts["nosana_address"] == job["address"]
    waited = awx_in.run("wait", nosana_wait_sleep="1", nosana_wait_timeout="60", **survey | posted.artifacts)
    assert (waited.status, waited.artifacts["nosana_status"]) == ("successful", "completed"), waited.output
    again = awx_in.run("post", **survey)
    assert (again.status, again.changed) == ("successful", 0), again.output
    removed = awx_in.run("remove", **survey | posted.artifacts)
    assert (removed.status, removed.artifacts["nosana_removed"]) == ("successful", False), removed.output  # it is over
    for ran in (posted, waited, removed):
        inside = [path for _kind, path in ran.touched]
        assert any(path.startswith("/usr/share/ansible/collections/ansible_collections/nosana/compute") for path in inside)
        assert [path for path in inside if path.startswith("/root")] == []
        written = [path for kind, path in ran.touched if kind == "write"]
        assert [path for path in written if not path.startswith(("/runner/", "/dev/", "/proc/"))] == []
    assert list(Path(awx_in.home).iterdir()) == []


def test_a_node_that_cannot_be_reached_is_one_sentence(awx_in: Awx) -> None:
    awx_in.credential["rpc_url"] = "http://127.0.0.1:9"
    ran = awx_in.run("post", nosana_name="nowhere", nosana_image="nginx", nosana_market=MARKET)
    assert ran.status == "failed"
    assert "127.0.0.1:9" in ran.failures
    assert "Traceback" not in ran.output


def test_the_inventory_source_inside_the_image(awx_in: Awx) -> None:
    posted = awx_in.run("post", nosana_name="listed", nosana_image="nginx", nosana_command="true", nosana_market="nvidia-4090")
    assert posted.status == "successful", posted.output
    file = awx_in.folder / "environment"
    file.write_text("".join(f"{name}={value}\n" for name, value in awx_in.environment.items()), encoding="utf-8")
    source = COLLECTION / "playbooks" / "inventory"
    words = ["--network=host", "--env-file", str(file), "--env=ANSIBLE_INVENTORY_UNPARSED_FAILED=True", "-v", f"{source}:/inventory:ro"]
    output = run("podman", *RUN, *words, awx_in.image, "ansible-inventory", "-i", "/inventory/jobs.nosana.yml", "--list")
    assert json.loads(output)["_meta"]["hostvars"]["listed"]["nosana_address"] == posted.artifacts["nosana_address"]
