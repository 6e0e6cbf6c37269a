"""Every setting: its type, default, meaning, and who reads it. How it is read: `config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pylon import limits, limits_files

#: Who reads a setting.
RUNTIME: Final = "runtime"
SERVE: Final = "serve"
DEV: Final = "dev"
SUPERVISOR: Final = "supervisor"
KEEPER: Final = "keeper"
CODEGEN: Final = "codegen"
#: By who reads it: what a change needs.
NEEDS: Final[Mapping[str, str]] = {
    RUNTIME: "a restart of the runtime; `pylon dev` restarts it at a save",
    SERVE: "a restart of `pylon serve`; it means nothing under `pylon dev`",
    DEV: "a restart of the runtime, at a save; it means nothing under `pylon serve`",
    SUPERVISOR: "a new start of `pylon dev` or `pylon serve`: a restart keeps the address",
    KEEPER: "a new start with --detach; it means nothing without",
    CODEGEN: "no restart: the next `pylon codegen` reads it",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: its type, its default, what it is for, and the least that a number may be."""

    kind: type
    default: Any
    doc: str
    least: float = 0
    #: It is never shown.
    is_secret: bool = False
    #: Who reads it, and so what takes a change in.
    reader: str = RUNTIME


def _bound(default: int, doc: str) -> Setting:
    return Setting(int, default, doc, 1)


#: Every key that pylon.toml and the environment may set, as `section.key`.
SETTINGS: Final[Mapping[str, Setting]] = {
    "server.host": Setting(str, "127.0.0.1", "Address to listen on.", reader=SUPERVISOR),
    "server.port": Setting(int, 4321, "Port to listen on.", reader=SUPERVISOR),
    "server.origins": Setting(list, [], "Origins of your own pages, such as https://chat.example."),
    "server.trusted_proxies": Setting(
        list, [], "Proxies of yours whose X-Forwarded-For counts: addresses or networks."
    ),
    "server.durability": Setting(str, "full", "full: survives power loss. normal: faster."),
    "server.sleep_minutes": Setting(
        float,
        limits.SLEEP_MINUTES,
        "Minutes until a detached runtime sleeps; 0: never.",
        reader=KEEPER,
    ),
    "log.retain_changes": Setting(int, limits.RETAIN_CHANGES, "Changes the log keeps at least."),
    "log.retain_days": Setting(int, limits.RETAIN_DAYS, "Days the log keeps at least."),
    "auth.methods": Setting(list, ["magic"], "How people sign in."),
    "auth.session_days": Setting(int, limits.SESSION_DAYS, "Days that a sign-in lasts.", 1),
    "limits.requests_per_second": Setting(int, 0, "Data requests per address; 0: no limit."),
    "limits.sockets": _bound(limits.SOCKETS_MAX, "Sync sockets in all."),
    "limits.sockets_per_user": _bound(limits.SOCKETS_PER_USER_MAX, "Sockets per user."),
    "limits.sockets_per_address": _bound(limits.SOCKETS_PER_ADDRESS_MAX, "Sockets per address."),
    "limits.subscriptions": _bound(limits.SUBSCRIPTIONS_TOTAL_MAX, "Subscriptions in all."),
    "limits.subscriptions_per_user": _bound(
        limits.SUBSCRIPTIONS_PER_USER_MAX, "Subscriptions per user."
    ),
    "limits.subscriptions_per_address": _bound(
        limits.SUBSCRIPTIONS_PER_ADDRESS_MAX, "Subscriptions per address."
    ),
    "limits.subscriptions_per_socket": _bound(
        limits.SUBSCRIPTIONS_MAX, "Subscriptions of one socket."
    ),
    "limits.snapshots": _bound(limits.SNAPSHOTS_MAX, "Snapshot pages under way, in all."),
    "limits.snapshots_per_user": _bound(limits.SNAPSHOTS_PER_USER_MAX, "The same per user."),
    "limits.snapshots_per_address": _bound(
        limits.SNAPSHOTS_PER_ADDRESS_MAX, "The same per address."
    ),
    "limits.send_queue_bytes": _bound(
        limits.SEND_QUEUE_BYTES_MAX, "Bytes queued for one slow socket."
    ),
    "limits.memory_mb": Setting(
        int, 0, "MiB of memory that the runtime may have; 0: three quarters of the machine's."
    ),
    "limits.heartbeat_seconds": Setting(
        float, limits.HEARTBEAT_SECONDS, "Interval of heartbeats on a socket.", 0.1
    ),
    "jobs.concurrency": _bound(limits.QUEUE_CONCURRENCY, "Jobs of a queue that run at a time."),
    "jobs.queues": Setting(list, [], "Queues with bounds of their own: name, jobs, rate."),
    "mail.url": Setting(str, "", "Mail server: smtp://user:password@host:587, or smtps://."),
    "files.max_mb": _bound(limits_files.FILE_MB_MAX, "Megabytes (2^20 bytes) of one file."),
    "files.quota_mb": Setting(int, limits_files.FILE_QUOTA_MB, "Megabytes per user; 0: no limit."),
    "files.total_mb": Setting(int, 0, "Megabytes of all files; 0: no limit."),
    "files.anonymous": Setting(
        bool, default=False, doc="Callers who are not signed in may upload."
    ),
    "files.backend": Setting(str, "disk", "disk, or s3://bucket/prefix?endpoint=https://…"),
    "web.dev": Setting(
        str,
        "",
        "A web server of yours that `pylon dev` runs and serves; {port} is its port.",
        reader=DEV,
    ),
    "web.package": Setting(
        str,
        "",
        "Folder that `pylon codegen` writes the client to, for a bundler.",
        reader=CODEGEN,
    ),
    "mail.from": Setting(str, "Pylon <pylon@localhost>", "Sender of mails."),
    "backup.every": Setting(str, "", "A backup so often, such as 6h; replaces backup.at."),
    "backup.at": Setting(str, "03:00", "A daily backup by serve, at this time (UTC)."),
    "backup.keep_daily": _bound(7, "Days of which the newest scheduled backup is kept."),
    "backup.keep_weekly": Setting(int, 4, "Weeks of which the newest one is kept."),
    "backup.folder": Setting(str, "", "Where backups lie; empty: .pylon/backups."),
    "backup.to": Setting(str, "", "Where scheduled ones are copied: file:///… or s3://…"),
    "backup.access_key": Setting(str, "", "Key of that bucket; write it env:NAME.", is_secret=True),
    "backup.secret_key": Setting(str, "", "Its secret; write it env:NAME.", is_secret=True),
    "alerts.mail": Setting(
        list, [], "Addresses that serve tells when the app is unwell.", reader=SERVE
    ),
    "alerts.webhook": Setting(
        str,
        "",
        "Address that is posted the same; write it env:NAME.",
        is_secret=True,
        reader=SERVE,
    ),
    "alerts.allow_private": Setting(
        bool, default=False, doc="The webhook may be on this machine or network.", reader=SERVE
    ),
    "alerts.restarts": Setting(
        int, 3, "Restarts in ten minutes that are worth telling.", 1, reader=SERVE
    ),
    "alerts.disk_percent": Setting(
        int, 10, "Percent of the disk; less free is worth telling.", reader=SERVE
    ),
}
#: How people can sign in: what `auth.methods` may name.
AUTH_METHODS: Final = ("magic", "link", "password", "oauth", "guest")
