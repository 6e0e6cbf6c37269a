"""The composition root: builds every service of a runtime, listens, and takes it all down again."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from functools import partial
from pathlib import Path

from pylon import limits, paths
from pylon.app.definition import AppDefinition
from pylon.app.loader import load_app
from pylon.clock import Clock, SystemClock, WarpedClock
from pylon.ids import IdSource
from pylon.server.auth.house import build_identity
from pylon.server.background import make_background, make_backups, make_files, make_trimmer
from pylon.server.backups.keeper import BackupKeeper
from pylon.server.backups.restoring import Prepared
from pylon.server.bounds import quotas_of, rates_of
from pylon.server.branching import Branching
from pylon.server.config import ServerConfig
from pylon.server.erasing import Eraser
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.functions.policy_coverage import PolicyCoverage
from pylon.server.functions.policy_effect import PolicyEffects
from pylon.server.functions.policy_matrix import PolicyMatrix
from pylon.server.functions.reads import Reads
from pylon.server.http.admin_health import take_sample
from pylon.server.http.listening import Listening, unlink
from pylon.server.http.peers import networks_of
from pylon.server.http.services import Services
from pylon.server.http.static import wake_pages
from pylon.server.http.web_server import WebServerPages
from pylon.server.lifecycle import Stopper
from pylon.server.mail.mailer import Mailer
from pylon.server.mail.preview import MailPreviews
from pylon.server.mail.templates import MailTemplates
from pylon.server.migrating import bring_to_schema
from pylon.server.observe import Observer, set_up_logging
from pylon.server.presence import Presence
from pylon.server.reloading import Reloader, load_next, run_hooks
from pylon.server.storage import backup, branches
from pylon.server.storage.database import Database
from pylon.server.storage.folder import demand_free
from pylon.server.storage.known_policies import use_policies
from pylon.server.storage.served_policies import ServedPolicies
from pylon.server.sync.hub import Hub
from pylon.server.sync.switchboard import Switchboard
from pylon.server.warp import Warp
from pylon.sqlite import THREADS, Engine

_log = logging.getLogger("pylon.runtime")
_LAG_SECONDS = 0.1
_SAMPLE_SECONDS = 1.0
#: Of the time to stop, what is kept for the process itself to end.
_LAST_SECONDS = 2.0


class Runtime:
    """One project's runtime in this process.

    What it has from the machine and the user is handed in or asked by a method of its own (time,
    chance, the user's folders, the listening), so that `pylon.testing` can run it without them.
    """

    def __init__(
        self, config: ServerConfig, *, clock: Clock | None = None, ids: IdSource | None = None,
        engine: Engine = THREADS,
    ) -> None:  # fmt: skip
        self.config = config
        machine = clock or SystemClock()
        self.clock = WarpedClock(machine) if config.is_dev else machine
        self.ids = ids or IdSource(self.clock, secrets.token_bytes)
        self._engine = engine
        self.observer = Observer(self.clock)
        self.services: Services
        #: The socket that listens; None before it does, and where nobody can reach the runtime.
        self.door: socket.socket | None = None
        self._stopper = Stopper()
        self._stop_asked = asyncio.Event()
        #: Another life of this runtime is to follow, on what is in use then.
        self.begins_again = False
        #: The backup that is to be put in place before that.
        self.restoring: Prepared | None = None

    async def start(
        self, *, may_migrate: bool, accepts_policies: bool = False,
        coverage: Path | None = None, listen_fd: int | None = None, web_port: int | None = None,
    ) -> int:  # fmt: skip
        """Start everything and listen; returns the port.

        Args:
            may_migrate: pending changes of the schema are applied.
            accepts_policies: in production, policies may open up.
            coverage: where to write which branches of the policies are taken; None counts none.
            listen_fd: a socket that listens already.
            web_port: where the project's own web server listens, in development.

        Raises LoadFailed, MigrationRefused, FolderInUse and ConfigError, all before listening.
        """
        config = self.config
        self._set_up_logging()
        if self._data_folder.is_dir():
            demand_free(self._data_folder)  # before any code of the app runs
        definition = self._load()
        database = await Database.open(
            self._data_folder, clock=self.clock, ids=self.ids, engine=self._engine,
            durability=config["server.durability"], witness=self._witness_folder(),
        )  # fmt: skip
        self._stopper.add("database", database.close)
        backup.sweep(database.folder, self.clock)
        branches.sweep(database.folder)
        try:
            is_first = database.head == 0
            policies = None
            if not config.is_dev:
                policies = ServedPolicies(database, accepts=accepts_policies)
                await policies.demand(definition)
            data = await bring_to_schema(database, definition, may_migrate=may_migrate)
            self._build(database, DefinitionHolder(definition), policies, coverage)
            await use_policies(database, definition.slice_rules, definition.read_meanings)
            await data.apply()
            if is_first:
                await self.services.accounts.complete_users()
            self._stopper.add("on_stop", self._run_stop_hooks)
            await run_hooks(definition, definition.on_start, self.services.executor)
            await self._background.start(self._stopper)
            self._stopper.add("long functions", self.services.executor.app_code.stop)
            self._add_powers_of_dev(web_port)
            self.services.may_migrate = may_migrate
            self.services.go_on_with = self._go_on_with
            port = await self._listen(listen_fd)
            if policies is not None:
                await policies.remember(definition)
        except BaseException:
            await self._stopper.stop(limits.DRAIN_SECONDS)
            raise
        for warning in definition.warnings:
            _log.warning("app.advice %s", warning)
        return port

    def _set_up_logging(self) -> None:
        set_up_logging(self.observer, as_json=not self.config.is_dev)

    def _load(self) -> AppDefinition:
        return load_app(self.config.project, generation=1)

    def _load_anew(self, before: AppDefinition) -> AppDefinition:
        return load_next(before)

    @property
    def _data_folder(self) -> Path:
        return self.config.project / ".pylon"

    def _witness_folder(self) -> Path | None:
        return paths.witness_dir()

    def _build(
        self, database: Database, definitions: DefinitionHolder, policies: ServedPolicies | None,
        coverage_path: Path | None,
    ) -> None:  # fmt: skip
        config = self.config
        identity = build_identity(
            database, self.clock, self.ids, session_days=config["auth.session_days"],
            providers=config["auth.oauth"],
            user_entity=lambda: definitions.current.schema.entities.get("User"),
            definition=lambda: definitions.current,
        )  # fmt: skip
        self._stopper.add("identity", identity.close)
        mailer = Mailer(MailTemplates(config.project / "mail"), self.ids.uuid7)
        executor = Executor(
            database, definitions, self.clock, self.ids, self.observer, mailer,
            retain_days=config["log.retain_days"], says_why=config.is_dev,
        )  # fmt: skip
        hub = Hub(
            database, definitions, identity.sessions, self.clock, executor.app_code,
            queue_bytes_max=config["limits.send_queue_bytes"],
            heartbeat_s=config["limits.heartbeat_seconds"],
            quotas=quotas_of(config), calls=self.observer.calls,
        )  # fmt: skip
        self._stopper.add("outgoing", executor.close)
        coverage, effects = self._policy_watch(database, definitions, coverage_path)
        trimmer = make_trimmer(config, database)
        self._background = background = make_background(
            config, database, definitions, executor, self.clock, self.ids, self.observer
        )
        files = make_files(config, database, definitions, executor, self.ids, self._stopper)
        self.services = Services(
            config=config, clock=self.clock, ids=self.ids, database=database,
            trimmer=trimmer, definitions=definitions, executor=executor,
            reads=Reads(database, definitions, self.clock), accounts=identity.accounts,
            sessions=identity.sessions, sign_in=identity.sign_in, passwords=identity.passwords,
            second_factor=identity.second_factor, own_data=identity.own_data,
            codes=identity.codes, oauth=identity.oauth, people=identity.people,
            files=files, eraser=Eraser(database, identity.own_data, files.sweeper),
            mailer=mailer, coverage=coverage, backups=self._backups(database),
            worker=background.worker, workflows=background.workflows,
            policies=PolicyMatrix(database, definitions),
            observer=self.observer, hub=hub, branches=self._make_branching(database, definitions),
            **rates_of(config, self.clock),
            admin_tokens=self._admin_tokens(), presence=Presence(self.clock),
            reload=Reloader(
                database, definitions, hub, executor, background.app_reloaded, self.clock, policies,
                effects, self._load_anew,
            ).reload,
            stop=lambda reason: self.ask_to_stop(reason),
            proxies=networks_of(config["server.trusted_proxies"]),
            started_ms=self.clock.machine_ms(),
            switchboard=Switchboard(self.clock, self._chance) if config.is_dev else None,
        )  # fmt: skip
        for name, one in (
            ("sessions", identity.sessions), ("hub", hub), ("trimmer", trimmer),
            ("backups", self.services.backups), ("eraser", self.services.eraser),
        ):  # fmt: skip
            one.start()
            self._stopper.add(name, one.stop)
        self._start_to_watch_lag()

    def _make_branching(self, database: Database, definitions: DefinitionHolder) -> Branching:
        branching = Branching(
            database, lambda: definitions.current.schema, self.clock, self.ids, self._begin_again,
            is_dev=self.config.is_dev,
        )  # fmt: skip
        self._stopper.add("branches", branching.stop)
        return branching

    def _backups(self, database: Database) -> BackupKeeper:
        return make_backups(self.config, database.folder, self.clock)

    def _policy_watch(
        self, database: Database, definitions: DefinitionHolder, path: Path | None
    ) -> tuple[PolicyCoverage | None, PolicyEffects]:
        """Return what counts the branches of policies, if asked for, and what compares them."""
        coverage = None
        if path is not None:
            coverage = PolicyCoverage(database, self.clock, path, str(os.getpid()))
            coverage.attach(definitions.current)
            coverage.start()
            self._stopper.add("policy coverage", coverage.stop)
        effects = PolicyEffects(
            database, self.observer, self.clock, self.ids.random_bytes, coverage
        )
        self._stopper.add("policy effects", effects.stop)
        return coverage, effects

    def _start_to_watch_lag(self) -> None:
        task = asyncio.get_running_loop().create_task(self._watch_lag())
        self._stopper.add("lag", lambda: _cancel(task))

    def _add_powers_of_dev(self, web_port: int | None) -> None:
        """Have the clock be moved, mail and pages in the making be shown, in development (I73)."""
        if isinstance(self.clock, WarpedClock):
            warp = Warp(self.clock, self._background, self.observer)
            self.services.warp = warp
            self._stopper.add("clock", warp.stop)
            self.services.mail_previews = MailPreviews(
                self.services.mailer.templates, partial(self.ids.token_hex, 16)
            )
        if web_port and self.config.is_dev:
            pages = WebServerPages(web_port, self.config["web.dev"])
            self.services.web_server = pages
            self._stopper.add("web server", pages.close)

    def _chance(self) -> float:
        """Return a number from 0 to 1."""
        return int.from_bytes(self.ids.random_bytes(6)) / 2**48

    def _admin_tokens(self) -> tuple[str, ...]:
        token = secrets.token_urlsafe(32)
        path = paths.admin_token_path(self.config.project)
        paths.write_private(path, token.encode())
        self._stopper.add("token", partial(unlink, path))
        given = os.environ.pop("PYLON_ADMIN_TOKEN", None)
        return (token, given) if given else (token,)

    async def _listen(self, listen_fd: int | None) -> int:
        listening = Listening(self.services, self._stopper)
        port = await listening.begin(listen_fd)
        self.door = listening.door
        return port

    # --- running

    async def _watch_lag(self) -> None:
        next_sample = self.clock.monotonic()
        while True:
            before = self.clock.monotonic()
            await self.clock.sleep(_LAG_SECONDS)
            now = self.clock.monotonic()
            lag = (now - before - _LAG_SECONDS) * 1000
            self.services.loop_lag_ms = max(lag, self.services.loop_lag_ms * 0.8)
            self.services.vitals.note_lag(lag)
            if now >= next_sample:
                next_sample = max(now, next_sample + _SAMPLE_SECONDS)
                take_sample(self.services)

    def _go_on_with(self, prepared: Prepared) -> None:
        """Stop; whoever started this one puts the backup in place and starts the next."""
        self.restoring, self.begins_again = prepared, True
        self.ask_to_stop("a backup is put in place")

    def ask_to_stop(self, reason: str) -> None:
        """Begin to stop; `wait()` returns."""
        if not self._stop_asked.is_set():
            self._stop_asked.set()
            _log.info("runtime.stopping %s", reason)

    def _begin_again(self, branch: str) -> None:
        self.begins_again = True
        self.ask_to_stop(f"it goes on with the branch {branch}")

    async def wait(self) -> None:
        """Return when the runtime was asked to stop."""
        await self._stop_asked.wait()

    async def stop(self) -> None:
        """Drain and take everything down within the deadline."""
        self.services.is_stopping = True
        wake_pages(self.services.page_listeners)
        await self._stopper.stop(limits.DRAIN_SECONDS - _LAST_SECONDS)

    async def _run_stop_hooks(self) -> None:
        definition = self.services.definitions.current
        await run_hooks(definition, definition.on_stop, self.services.executor)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
