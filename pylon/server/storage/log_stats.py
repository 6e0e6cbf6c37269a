"""How large the change log is, how far back it reaches, and who stands furthest back."""

from __future__ import annotations

from typing import Any

from pylon.clock import iso_ms
from pylon.server.storage.change_log import read_head
from pylon.server.storage.lineage import meta
from pylon.sqlite import RawConnection


def log_stats(connection: RawConnection, now_ms: int) -> dict[str, Any]:
    """Return the figures as plain values, counted in the connection's transaction."""
    head, horizon = read_head(connection)
    epoch = meta(connection, "epoch") or ""
    entities = [
        {"entity": name, "entries": entries, "bytes": size}
        for name, entries, size in connection.execute(
            "SELECT entity, count(*), sum(coalesce(length(CAST(before AS BLOB)), 0)"
            " + coalesce(length(CAST(after AS BLOB)), 0)) FROM _pylon_log NOT INDEXED"
            " WHERE seq > ? GROUP BY entity ORDER BY 3 DESC",
            (horizon,),
        ).fetchall()
    ]
    oldest = connection.execute(
        "SELECT at FROM _pylon_log WHERE seq > ? ORDER BY seq LIMIT 1", (horizon,)
    ).fetchone()
    return {
        "entries": sum(one["entries"] for one in entities),
        "bytes": sum(one["bytes"] for one in entities),
        "entities": entities,
        "horizon": f"{epoch}:{horizon}",
        "head": f"{epoch}:{head}",
        "oldest_at": None if oldest is None else iso_ms(oldest[0]),
        "oldest_age_s": None if oldest is None else round((now_ms - oldest[0]) / 1000, 1),
        **_clients(connection, epoch, head, horizon),
    }


def client_stats(connection: RawConnection) -> dict[str, Any]:
    """Return how many known clients there are and must start over, without counting the log."""
    head, horizon = read_head(connection)
    epoch = meta(connection, "epoch") or ""
    found = _clients(connection, epoch, head, horizon)
    return {**found, "horizon": f"{epoch}:{horizon}"}


def _clients(connection: RawConnection, epoch: str, head: int, horizon: int) -> dict[str, Any]:
    """Return who of the known clients stands furthest back, and how many must start over."""
    furthest = connection.execute(
        "SELECT client_id, email, seq, last_seen FROM _pylon_clients WHERE epoch = ?"
        " AND seq >= ? AND seq <= ? ORDER BY seq, last_seen LIMIT 1",
        (epoch, horizon, head),
    ).fetchone()
    known, lost = connection.execute(
        "SELECT count(*), coalesce(sum(epoch <> ? OR seq < ?), 0) FROM _pylon_clients",
        (epoch, horizon),
    ).fetchone()
    return {
        "clients": known,
        "clients_beyond": lost,
        "furthest_back": None
        if furthest is None
        else {
            "client_id": furthest[0], "email": furthest[1], "cursor": f"{epoch}:{furthest[2]}",
            "behind": head - furthest[2], "last_seen": iso_ms(furthest[3]),
        },
    }  # fmt: skip
