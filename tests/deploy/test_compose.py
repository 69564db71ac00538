"""The compose file: what it says holds together, and what its commands do where they can run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis
from ruamel.yaml import YAML
from typer.testing import CliRunner

from afterturn.cli.app import build
from afterturn_models.settings import Settings
from afterturn_sandbox.ports import free_port
from afterturn_sandbox.valkey import _program
from support.tree import ROOT, read
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "docker-compose.yml"
_SECRET = re.compile(r"PASSWORD|KEY|AUTH|SECRET|TOKEN")
_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?P<rest>[^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return YAML(typ="safe").load(read(FILE))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def _example() -> tuple[set[str], set[str]]:
    """Give the names that .env.example asks for, and those that it shows as optional."""
    lines = read(".env.example").splitlines()
    required = {line.rstrip("=") for line in lines if re.fullmatch(r"[A-Z_]+=", line)}
    optional = {line[1:].partition("=")[0] for line in lines if re.match(r"#[A-Z_]+=", line)}
    return required, optional


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_it_is_a_compose_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_reference_leads_somewhere(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    used_volumes = set()
    for name, service in services.items():
        for other, need in service.get("depends_on", {}).items():
            assert other in services, f"{name} depends on {other}"
            assert other != name
            if need["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"
            hidden = set(services[other].get("profiles", [])) - set(service.get("profiles", []))
            assert not hidden, f"{name} depends on {other}, which is behind a profile"
        used_volumes |= {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert set(service.get("networks", [])) <= set(compose.get("networks", {}))
    assert used_volumes == set(compose["volumes"])


def test_only_a_migrated_database_is_worked_on(services: dict[str, dict[str, Any]]) -> None:
    assert services["worker"]["depends_on"]["migrate"]["condition"] == (
        "service_completed_successfully"
    )
    assert services["migrate"]["restart"] == "no"


def test_every_variable_is_explained_and_every_explained_one_is_used() -> None:
    required, optional = _example()
    in_file = {match["name"]: match["rest"] for match in _VARIABLE.finditer(read(FILE))}
    assert {name for name, rest in in_file.items() if rest.startswith(":?")} == required
    assert {name for name, rest in in_file.items() if rest.startswith(":-")} == optional
    assert set(in_file) == required | optional


def test_no_secret_has_a_default(services: dict[str, dict[str, Any]]) -> None:
    for match in _VARIABLE.finditer(read(FILE)):
        if _SECRET.search(match["name"]):
            assert match["rest"].startswith(":?"), match.group()
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if _SECRET.search(variable):
                assert _VARIABLE.fullmatch(value), f"{name}: {variable}"


def test_nothing_listens_beyond_the_loopback(services: dict[str, dict[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published), published
    assert not any("network_mode" in service for service in services.values())


def test_only_workers_get_honchos_key(services: dict[str, dict[str, Any]]) -> None:
    holders = {
        name
        for name, service in services.items()
        for variable in service.get("environment", {})
        if variable.startswith(("HONCHO_", "AFTERTURN_HONCHO_"))
    }
    assert holders == {"worker"}


def test_the_stand_in_starts_only_when_asked_for(services: dict[str, dict[str, Any]]) -> None:
    assert {n for n, service in services.items() if "profiles" in service} == {"honcho"}


def test_every_service_is_confined(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        uid = int(service["user"].partition(":")[0])
        assert uid > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_every_service_that_stays_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    assert {n for n, service in services.items() if "healthcheck" not in service} == {"migrate"}
    assert {n for n, s in services.items() if s["restart"] == "unless-stopped"} == (
        set(services) - {"migrate"}
    )


def test_workers_can_be_scaled(services: dict[str, dict[str, Any]]) -> None:
    assert "container_name" not in services["worker"]
    assert "ports" not in services["worker"]
    assert "hostname" not in services["worker"]


def test_a_worker_may_finish_its_longest_request(services: dict[str, dict[str, Any]]) -> None:
    grace = _seconds(services["worker"]["stop_grace_period"])
    assert grace > Settings().chat_seconds + 10


def test_every_image_has_a_tag_and_ours_is_one(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in services.values()}
    assert all(re.search(r":[0-9]", image) for image in images), images
    assert len({service["image"] for service in services.values() if "build" in service}) == 1


def test_data_survives_a_new_container(services: dict[str, dict[str, Any]]) -> None:
    # The image for Postgres 18 keeps its data in a folder of that version under this one.
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert services["honcho"]["volumes"] == ["honcho:/data"]


@pytest.mark.parametrize("name", ["migrate", "worker", "flower"])
def test_our_commands_are_there(services: dict[str, dict[str, Any]], name: str) -> None:
    command, *options = services[name]["command"]
    said = CliRunner().invoke(build(), [command, "--help"])
    assert said.exit_code == 0, said.output
    assert all(option in said.output for option in options if option.startswith("--"))


@pytest.fixture
def redis_by_command(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the Redis service's own command, on our server and a port that is free."""
    programs, data, port = tmp_path / "bin", tmp_path / "data", free_port()
    programs.mkdir()
    data.mkdir()
    (programs / "redis-server").symlink_to(_program(tmp_path))
    shell, flag, script = services["redis"]["command"]
    script = script.replace("$$", "$").replace(
        "exec redis-server ", f"exec redis-server --port {port} --bind 127.0.0.1 "
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [shell, flag, script],
            cwd=data,
            stdout=log,
            stderr=log,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "REDISCLI_AUTH": "a1b2c3"},
        )
    yield process, port
    process.terminate()
    process.wait(20)


def test_redis_keeps_its_queues_behind_a_password_that_ps_does_not_show(
    redis_by_command: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = redis_by_command

    def answers() -> bool:
        try:
            with redis.Redis(port=port, password="a1b2c3", retry=None) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    eventually(answers, within=20)
    with redis.Redis(port=port, password="a1b2c3") as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
    with redis.Redis(port=port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert "a1b2c3" not in " ".join(psutil.Process(process.pid).cmdline())
