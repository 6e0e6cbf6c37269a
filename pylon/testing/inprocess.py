"""A runtime inside this process: time, chance, network and folders handed in, nothing else changed.

What does not live here: how apps are tested with it (`harness`), how it is tormented
(`simulation`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pylon.app.definition import AppDefinition
from pylon.clock import Clock
from pylon.ids import IdSource
from pylon.server.assembly import Runtime
from pylon.server.config import ServerConfig, load_config
from pylon.server.http.connections import PatientServer
from pylon.server.http.gate import Gate, known_names
from pylon.server.http.table import make_router
from pylon.sqlite import THREADS, Engine
from pylon.testing.network import MemoryNetwork

URL = "http://localhost:4321"
_HOST, _PORT = "localhost", 4321


class InProcessRuntime(Runtime):
    """The real runtime, listening on a network in memory, with its data in a given folder."""

    def __init__(
        self, config: ServerConfig, data: Path, network: MemoryNetwork, *, clock: Clock,
        ids: IdSource, engine: Engine = THREADS, definition: AppDefinition | None = None,
        witness: Path | None = None,
    ) -> None:  # fmt: skip
        """Make a runtime; `start` starts it.

        Args:
            config: the settings.
            data: stands in for the project's `.pylon`.
            network: where it listens.
            clock: tells the time.
            ids: mints ids and tokens.
            engine: opens the database.
            definition: the app, where it was loaded before.
            witness: the folder of lineage witnesses; None keeps none.
        """
        super().__init__(config, clock=clock, ids=ids, engine=engine)
        self._network = network
        self._data = data
        #: The app, where it was loaded before; a reload takes what stands here then.
        self.definition = definition
        self._witness = witness

    def _set_up_logging(self) -> None:
        """Leave the process's logging as it is."""

    async def _watch_lag(self) -> None:
        """Watch nothing: a clock that is moved by hand knows no lag."""

    def _load(self) -> AppDefinition:
        return self.definition or super()._load()

    def _load_anew(self, before: AppDefinition) -> AppDefinition:
        return self.definition or super()._load_anew(before)

    @property
    def _data_folder(self) -> Path:
        return self._data

    def _witness_folder(self) -> Path | None:
        return self._witness

    def _admin_tokens(self) -> tuple[str, ...]:
        return (self.ids.token_hex(16),)

    async def _listen(self, listen_fd: int | None) -> int:
        services = self.services
        services.bound_port = _PORT
        services.known_hosts, services.known_origins = known_names(_HOST, _PORT, ())
        gate = Gate(services, make_router(is_dev=self.config.is_dev), is_local_socket=False)
        server = PatientServer(gate.handle)
        self._network.listen(server)

        async def stop() -> None:
            self._network.stop_listening()
            server.pre_shutdown()
            await server.shutdown(0.0)

        self._stopper.add("listener", stop)
        return _PORT


def config_of(project: Path, environment: Mapping[str, str] | None = None) -> ServerConfig:
    """Return a project's settings as `pylon dev` would read them."""
    return load_config(
        project, is_dev=True, environment=os.environ if environment is None else environment,
        flags={},
    )  # fmt: skip
