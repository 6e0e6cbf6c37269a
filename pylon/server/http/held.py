"""What is held in memory, each collection against its limit (I52): for the owner, by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pylon import limits, limits_files, limits_keeping, limits_live
from pylon.server.http.services import Services


@dataclass(frozen=True, slots=True)
class Held:
    """One collection: how much is in it, and how much may be."""

    name: str
    size: int
    limit: int
    #: The limit's name in the pages of limits.
    bound: str
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, with its share of the limit."""
        return {**asdict(self), "share": round(self.size / self.limit, 4) if self.limit else 0.0}


def held_by(services: Services) -> list[Held]:
    """Return every collection of a runtime that holds memory."""
    return [
        *_of_storage(services), *_of_connections(services), *_of_work(services),
        *_for_people(services),
    ]  # fmt: skip


def _of_storage(services: Services) -> list[Held]:
    database = services.database
    tail, writer, readers = database.tail, database.writer, database.readers
    return [
        Held("operations that wait for the writer", writer.queued, limits.WRITER_QUEUE_MAX,
             "WRITER_QUEUE_MAX"),
        Held("newest changes", tail.size, limits.TAIL_ENTRIES_MAX, "TAIL_ENTRIES_MAX"),
        Held("newest changes", tail.bytes, limits.TAIL_BYTES_MAX, "TAIL_BYTES_MAX", "bytes"),
        Held("long queries", readers.long_queries, limits.LONG_QUERIES_MAX, "LONG_QUERIES_MAX"),
    ]  # fmt: skip


def _of_connections(services: Services) -> list[Held]:
    hub, config = services.hub, services.config
    quotas, sizes = hub.quotas, {**hub.sizes, **hub.known_sizes}
    unsent = max((one.queued_bytes for one in hub.connections()), default=0)
    held = [
        Held("connections", sum(one.count for one in services.servers), limits.CONNECTIONS_MAX,
             "CONNECTIONS_MAX"),
        Held("sync sockets", quotas.sockets.count, config["limits.sockets"], "SOCKETS_MAX"),
        Held("subscriptions", quotas.subscriptions.count, config["limits.subscriptions"],
             "SUBSCRIPTIONS_TOTAL_MAX"),
        Held("snapshot pages under way", quotas.snapshots.count, config["limits.snapshots"],
             "SNAPSHOTS_MAX"),
        Held("unsent to the slowest socket", unsent, config["limits.send_queue_bytes"],
             "SEND_QUEUE_BYTES_MAX", "bytes"),
        Held("values of followed functions", sizes["live_kept_bytes"],
             limits_live.LIVE_KEPT_BYTES_MAX, "LIVE_KEPT_BYTES_MAX", "bytes"),
        Held("clients that reported", sizes["reported"], limits.CLIENTS_MAX, "CLIENTS_MAX"),
        Held("subscriptions of clients that left", sizes["wants"], limits.WANTS_KEPT_MAX,
             "WANTS_KEPT_MAX"),
        Held("kinds of subscriptions", hub.kinds_counted, limits_keeping.SUBSCRIPTION_COSTS_MAX,
             "SUBSCRIPTION_COSTS_MAX"),
    ]  # fmt: skip
    if services.switchboard is not None:
        held.append(
            Held("shaped networks", services.switchboard.size, limits.SHAPES_MAX, "SHAPES_MAX")
        )
    return held


def _of_work(services: Services) -> list[Held]:
    executor, reasons = services.executor, services.executor.reasons
    held = [
        Held("actions", executor.doors.actions.count, limits.ACTIONS_MAX, "ACTIONS_MAX"),
        Held("jobs that run", len(services.worker.running), limits.JOBS_RUNNING_MAX,
             "JOBS_RUNNING_MAX"),
        Held("workflow runs that are driven", len(services.workflows.active),
             limits.WORKFLOWS_ACTIVE_MAX, "WORKFLOWS_ACTIVE_MAX"),
        Held("slow hashes that wait", services.codes.hasher.waiting, limits.HASHES_WAITING_MAX,
             "HASHES_WAITING_MAX"),
        Held("pictures that wait", services.files.images.waiting, limits_files.IMAGES_WAITING_MAX,
             "IMAGES_WAITING_MAX"),
    ]  # fmt: skip
    if reasons is not None:
        held.append(
            Held("refusals explained", reasons.size, limits.EXPLAINED_OPERATIONS_MAX,
                 "EXPLAINED_OPERATIONS_MAX")
        )  # fmt: skip
    return held


def _for_people(services: Services) -> list[Held]:
    observer = services.observer
    book = observer.calls
    return [
        Held("calls", len(book.newest), limits.CALLS_KEPT_MAX, "CALLS_KEPT_MAX"),
        Held("slow calls", len(book.slow), limits.SLOW_CALLS_KEPT_MAX, "SLOW_CALLS_KEPT_MAX"),
        Held("functions counted", len(book.stats), limits.FUNCTIONS_COUNTED_MAX,
             "FUNCTIONS_COUNTED_MAX"),
        Held("log lines", len(observer.lines), limits.LOG_LINES_KEPT_MAX, "LOG_LINES_KEPT_MAX"),
        Held("mails", len(observer.mails), limits.OUTBOX_MAILS_MAX, "OUTBOX_MAILS_MAX"),
        Held("seconds of figures", services.vitals.size, limits_keeping.HEALTH_SAMPLES_KEPT_MAX,
             "HEALTH_SAMPLES_KEPT_MAX"),
    ]  # fmt: skip
