"""What runs beside requests, by the settings: jobs, workflows, the way out of mails, files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from pylon import limits
from pylon.app.jobs import JobOptions
from pylon.clock import Clock
from pylon.errors import ConfigError
from pylon.ids import IdSource
from pylon.server.backups.keeper import BackupKeeper
from pylon.server.backups.settings import settings_of as backups_of
from pylon.server.buckets import parse_bucket
from pylon.server.config import ServerConfig
from pylon.server.files.pieces import Pieces
from pylon.server.files.room import Room
from pylon.server.files.s3 import S3Backend
from pylon.server.files.store import FileStore
from pylon.server.files.sweeper import Sweeper
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.functions.file_service import FileService
from pylon.server.jobs.room import Room as JobRoom
from pylon.server.jobs.room import parse_queues
from pylon.server.jobs.runner import Runner, SystemJob
from pylon.server.jobs.worker import Worker
from pylon.server.lifecycle import Stopper
from pylon.server.mail.delivery import Delivery, Transport
from pylon.server.mail.mailer import MAIL_JOB, MAIL_QUEUE
from pylon.server.mail.message import is_address, parse_sender
from pylon.server.mail.outbox import Outbox
from pylon.server.mail.smtp import SmtpTransport, parse_url
from pylon.server.observe import Observer
from pylon.server.storage import files
from pylon.server.storage.database import Database
from pylon.server.storage.trimming import Trimmer
from pylon.server.workflows.engine import Engine
from pylon.server.workflows.tools import Tools

_log = logging.getLogger("pylon.runtime")


def check_settings(config: ServerConfig) -> None:
    """Raise ConfigError for settings whose text says nothing that can be done."""
    for mistake in texts_wrong(config):
        raise mistake


def texts_wrong(config: ServerConfig) -> Iterator[ConfigError]:
    """Yield what is wrong with settings whose text says nothing that can be done."""
    for key, parse in (
        ("jobs.queues", parse_queues), ("mail.from", parse_sender), ("mail.url", _server_of),
        ("files.backend", parse_bucket),
    ):  # fmt: skip
        try:
            parse(config[key])
        except ValueError as error:
            yield ConfigError(f"{key}: {error}")
    try:
        backups_of(config)
    except ConfigError as error:
        yield error
    for address in config["alerts.mail"]:
        if not is_address(address):
            yield ConfigError(f"alerts.mail: {address!r} is no address")
    webhook = config["alerts.webhook"]
    if webhook and not webhook.startswith(("http://", "https://")):
        yield ConfigError("alerts.webhook: it is an http or https address")


def _server_of(url: str) -> object:
    return parse_url(url) if url else None


@dataclass(frozen=True, slots=True)
class Background:
    """What a runtime does beside requests."""

    worker: Worker
    workflows: Engine

    async def start(self, stopper: Stopper) -> None:
        """Start everything, each with its stop."""
        await self.worker.start()
        stopper.add("jobs", self.worker.stop)
        await self.workflows.start()
        stopper.add("workflows", self.workflows.stop)

    # --- what time-warp asks (`warp.Waiting`)

    async def will_warp(self) -> None:
        """Note that time goes ahead by no clock's fault."""
        await self.worker.will_warp()

    def time_moved(self) -> None:
        """Look at what is due."""
        self.worker.time_moved()
        self.workflows.time_moved()

    def next_due(self) -> tuple[int, str] | None:
        """Return what comes next: when (Unix ms), and its name."""
        found = (self.worker.next_due(), self.workflows.next_due())
        return min((one for one in found if one is not None), default=None)

    def is_quiet(self, without: Set[str]) -> bool:
        """Tell whether nothing is under way but these."""
        return self.worker.is_quiet(without) and self.workflows.is_quiet(without)

    async def round_over(self) -> None:
        """Return when it may be quiet."""
        waits = [
            asyncio.ensure_future(one.round_over()) for one in (self.worker, self.workflows)
        ]  # fmt: skip
        try:
            _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def under_way(self) -> dict[str, str]:
        """Return the names of what runs, by id."""
        jobs = {job_id: one.job.name for job_id, one in self.worker.running.items()}
        return jobs | self.workflows.under_way()

    def app_reloaded(self) -> None:
        """Have everything go by the new definition."""
        self.worker.app_reloaded()
        self.workflows.app_reloaded()


def make_background(
    config: ServerConfig, database: Database, definitions: DefinitionHolder, executor: Executor,
    clock: Clock, ids: IdSource, observer: Observer,
) -> Background:  # fmt: skip
    """Return what a runtime does beside requests, not started."""
    return Background(
        make_worker(config, database, definitions, executor, clock, ids, observer),
        Engine(Tools(database, definitions, executor, clock, ids, observer)),
    )


def make_worker(
    config: ServerConfig, database: Database, definitions: DefinitionHolder, executor: Executor,
    clock: Clock, ids: IdSource, observer: Observer,
) -> Worker:  # fmt: skip
    """Return the worker of a runtime, not started."""
    delivery = Delivery(
        _transport(config, database.folder), parse_sender(config["mail.from"]), clock, observer
    )
    # Tried again, a mail is one that somebody may get twice: better than not at all.
    options = JobOptions(queue=MAIL_QUEUE, timeout_s=limits.MAIL_SECONDS * 2)
    runner = Runner(
        database, executor, clock, ids, observer, {MAIL_JOB: SystemJob(delivery, options)}
    )
    room = JobRoom(parse_queues(config["jobs.queues"]), config["jobs.concurrency"])
    return Worker(database, definitions, runner, room, clock)


def _transport(config: ServerConfig, data: Path) -> Transport:
    """Return how mail leaves: by SMTP in serve, where a server is set; else into files."""
    url = config["mail.url"]
    if url and not config.is_dev:
        return SmtpTransport(parse_url(url), parse_sender(config["mail.from"]))
    if not config.is_dev:
        _log.warning("mail.not_sent there is no mail.url: mails go to .pylon/outbox only")
    return Outbox(data / "outbox")


def make_files(
    config: ServerConfig, database: Database, definitions: DefinitionHolder, executor: Executor,
    ids: IdSource, stopper: Stopper,
) -> FileService:  # fmt: skip
    """Return the files of a project, which functions have too; swept until the runtime stops."""
    clock = database.clock
    room = Room(
        quota_bytes=config["files.quota_mb"] * limits.MIB,
        total_bytes=config["files.total_mb"] * limits.MIB,
        used=lambda principal: files.used_bytes(database.readers.inline.raw, principal),
        used_by_all=lambda: files.all_bytes(database.readers.inline.raw),
    )
    bucket = parse_bucket(config["files.backend"])
    store = FileStore(
        database.folder / "files", max_bytes=config["files.max_mb"] * limits.MIB, room=room,
        token=lambda: ids.token_hex(16),
        backend=None if bucket is None else lambda _: S3Backend(bucket),
    )  # fmt: skip
    store.prepare()
    pieces = Pieces(store, database, clock)
    sweeper = Sweeper(store, database, clock, pieces.is_open)
    service = FileService(database, definitions, clock, store, sweeper, pieces)
    executor.actions.files = service
    service.start()
    stopper.add("files", service.stop)
    return service


def make_backups(config: ServerConfig, data: Path, clock: Clock) -> BackupKeeper:
    """Return what keeps the backups, not started."""
    return BackupKeeper(data, clock, backups_of(config))


def make_trimmer(config: ServerConfig, database: Database) -> Trimmer:
    """Return what keeps the log within its bounds, not started."""
    return Trimmer(
        database, keep_changes=config["log.retain_changes"], keep_days=config["log.retain_days"]
    )
