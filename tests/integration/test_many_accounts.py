"""More accounts than one page holds: none is left out."""

from __future__ import annotations

from pathlib import Path

from pylon.server.http.admin import emails_of
from pylon.server.storage import accounts, change_log
from pylon.server.storage.transaction import Transaction
from tests.integration.house import house


async def test_all_accounts_get_their_user_rows_and_names(tmp_path: Path) -> None:
    """Those made before the first start, and those that the log names, beyond the thousandth."""
    count = 1_100
    async with house(tmp_path) as at:
        services = at.services

        def make(transaction: Transaction) -> None:
            for n in range(count):
                accounts.insert_account(transaction, f"u{n:04d}", f"u{n:04d}@example.com")

        await services.database.writer.submit(make)
        await services.accounts.complete_users()
        rows = services.database.readers.inline.rows
        assert rows('SELECT count(*) FROM "User"', ()) == [(count,)]
        last = await at.signed_in(f"u{count - 1:04d}@example.com")
        assert (await last.post("/api/entities/Group", {"name": "g"})).status == 201
        records = change_log.read_last(
            services.database.readers.inline.raw, 1, services.database.schema
        )
        label = emails_of(services, records)[f"u{count - 1:04d}"]
        assert label == f"u{count - 1:04d}@example.com"
