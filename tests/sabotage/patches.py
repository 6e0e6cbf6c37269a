"""The sabotage list: faults that were real somewhere, each an edit and the test that sees it.

Numbers are those of the list. An edit is exact: where its old text is gone, its test fails loudly
and wants it renewed, because a fault that can't be put in proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STORAGE = "pylon/server/storage"
SYNC = "pylon/server/sync"
POLICY = "pylon/policy"
BROWSER = "pylon/client/browser"
#: Sees whatever reaches somebody whom the policies deny it.
CANARIES = (
    "tests/canary/test_canary_matrix.py::test_no_canary_reaches_whom_the_reference_denies_it[serve]"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Text of a file, which stands there exactly once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One fault; `test` is a pytest node id, or a file of the browser client's tests and a name."""

    number: str
    fault: str
    edits: tuple[Edit, ...]
    test: str


SABOTAGES: Final = (
    Sabotage(
        "1", "log entry written after commit",
        (
            Edit(f"{STORAGE}/batch.py", "        self._store(_APPEND, self._log_rows)\n", ""),
            Edit(f"{STORAGE}/batch.py", "    def _store(self, statements",
                 "    def late(self) -> None:\n        self._store(_APPEND, self._log_rows)\n\n"
                 "    def _store(self, statements"),
            Edit(f"{STORAGE}/writer.py", "        self._storage.head = batch.seq\n",
                 "        batch.late()\n        self._storage.head = batch.seq\n"),
        ),
        "tests/unit/server/storage/test_writer.py"
        "::test_a_failed_commit_is_unknown_until_it_was_looked_at",
    ),
    Sabotage(
        "2", "op id stored after commit",
        (
            Edit(f"{STORAGE}/batch.py", "        self._store(_REMEMBER, self._remembered)\n", ""),
            Edit(f"{STORAGE}/batch.py", "    def _store(self, statements",
                 "    def late(self) -> None:\n"
                 "        self._store(_REMEMBER, self._remembered)\n\n"
                 "    def _store(self, statements"),
            Edit(f"{STORAGE}/writer.py", "        self._storage.head = batch.seq\n",
                 "        batch.late()\n        self._storage.head = batch.seq\n"),
        ),
        "tests/unit/server/storage/test_writer.py"
        "::test_a_retry_after_a_commit_that_happened_is_a_duplicate",
    ),
    Sabotage(
        "3", "op id looked up outside the transaction",
        (
            Edit(f"{STORAGE}/operations.py", "    stored = known[key]\n",
                 "    stored = transaction.connection.execute(_FIND, key).fetchone()\n"),
        ),
        "tests/integration/test_push.py::test_a_message_may_hold_an_operation_twice",
    ),
    Sabotage(
        "4", "cursor as a bare number, epoch ignored",
        (
            Edit(f"{SYNC}/subscriber.py", "        elif cursor.epoch != self.epoch:\n",
                 "        elif False:\n"),
            Edit(f"{SYNC}/catch_up.py", "    if cursor.epoch != epoch:\n", "    if False:\n"),
        ),
        "tests/integration/test_sync_socket.py::test_a_cursor_of_another_lineage_is_resynced",
    ),
    Sabotage(
        "5 early", "pull edge off by one: the change at the cursor comes again",
        (
            Edit(f"{SYNC}/catch_up.py",
                 "    wanted = [view.entities[name] for name in names",
                 "    after = max(after - 1, 0)\n"
                 "    wanted = [view.entities[name] for name in names"),
        ),
        "tests/integration/test_pull.py::test_pages_of_any_size_are_the_same_log",
    ),
    Sabotage(
        "5 late", "pull edge off by one: the change behind the cursor is missing",
        (
            Edit(f"{SYNC}/catch_up.py",
                 "    wanted = [view.entities[name] for name in names",
                 "    after += 1\n"
                 "    wanted = [view.entities[name] for name in names"),
        ),
        "tests/integration/test_pull.py::test_pages_of_any_size_are_the_same_log",
    ),
    Sabotage(
        "6", "live frame dropped when the queue is full, the cursor moves on",
        (
            Edit(f"{SYNC}/pump.py",
                 "                self._hold(connection, asked)\n",
                 "                connection.subscriber.log_sent(frames.head, more=False)\n"),
        ),
        "tests/integration/test_sync_socket.py::test_a_slow_reader_is_bounded_and_misses_nothing",
    ),
    Sabotage(
        "7", "cursor stored in its own IndexedDB transaction before the rows",
        (
            Edit(f"{BROWSER}/src/store-indexeddb.ts",
                 "    const durability = kept.length > 0 ? \"strict\" : \"default\";\n",
                 "    const durability = kept.length > 0 ? \"strict\" : \"default\";\n"
                 "    if (save !== null) await this.transact([\"meta\"], durability,"
                 " (one, head) => {\n"
                 "      one.objectStore(\"meta\").put({ ...head, cursor: save.cursor });\n"
                 "    });\n"),
        ),
        f"{BROWSER}/test/store.test.ts",
    ),
    Sabotage(
        "8", "live broadcast without policy",
        (
            Edit(f"{SYNC}/subscription_index.py",
                 "            return self.policy.audience.of(moment, row)\n",
                 "            return ALL\n"),
        ),
        "tests/integration/test_sync_socket.py::test_sync_is_no_side_door",
    ),
    Sabotage(
        "9", "delete events judged on null data",
        (
            Edit(f"{SYNC}/subscription_index.py",
                 "        before = self._image(record.before, moment)\n",
                 "        before = self._image(record.before if record.after else None, moment)\n"),
        ),
        "tests/integration/test_policies.py::test_live_changes_reach_those_who_see_the_row",
    ),
    Sabotage(
        "10", "update events judged on the patch instead of the row",
        (
            Edit(f"{SYNC}/subscription_index.py",
                 "        after = self._image(record.after, moment)\n",
                 "        before_ = record.before or {}\n"
                 "        patch = None if record.after is None else {\n"
                 "            key: value for key, value in record.after.items()\n"
                 "            if key == \"id\" or not before_ or before_.get(key) != value\n"
                 "        }\n"
                 "        after = self._image(patch, moment)\n"),
        ),
        "tests/integration/test_policies.py::test_live_changes_reach_those_who_see_the_row",
    ),
    Sabotage(
        "11", "removal on loss of access not sent",
        (
            Edit(f"{STORAGE}/sync_select.py",
                 " ELSE ',\"cause\":\"hidden\"' END)", " END)"),
        ),
        "tests/integration/test_pull.py::test_what_is_hidden_leaves_without_its_content",
    ),
    Sabotage(
        "12", "null == null allows",
        (
            Edit(f"{POLICY}/predicate.py",
                 "        body = form.format(*names)\n",
                 "        body = form.format(*names)\n        checks = []\n"),
            Edit(f"{POLICY}/sqlclause.py",
                 "_OPERATORS = {\"==\": \"=\",", "_OPERATORS = {\"==\": \"IS\","),
        ),
        "tests/integration/test_policies.py::test_nobody_is_the_owner_of_nothing",
    ),
    Sabotage(
        "13", "negation of unknown allows",
        (
            Edit(f"{POLICY}/predicate.py",
                 "{target} = None if {inner} is None else not {inner}", "{target} = not {inner}"),
            Edit(f"{POLICY}/sqlclause.py", "return f\"NOT {leaf}\" if is_negated",
                 "return f\"NOT coalesce({leaf}, 0)\" if is_negated"),
        ),
        "tests/integration/test_policies.py::test_nobody_is_the_owner_of_nothing",
    ),
    Sabotage(
        "14", "update policy judged only on the new row",
        (
            Edit("pylon/server/functions/authorize.py",
                 "policy.holds(identity, row, now, reader.exists) and policy.holds(\n",
                 "policy.holds(\n"),
        ),
        "tests/integration/test_policies.py::test_no_row_is_taken_by_rewriting_its_owner",
    ),
    Sabotage(
        "15", "counts taken before filtering",
        (
            Edit(f"{STORAGE}/select.py",
                 "        f'SELECT count(*) FROM \"{spec.entity.name}\" AS t WHERE {where}',",
                 "        f'SELECT count(*) FROM \"{spec.entity.name}\" AS t WHERE {where} OR 1',"),
        ),
        "tests/integration/test_policies.py::test_nobody_is_the_owner_of_nothing",
    ),
    Sabotage(
        "16", "revocation checked only at connect",
        (
            Edit(f"{SYNC}/hub.py", "        sessions.on_ended(self._session_ended)\n", ""),
        ),
        "tests/integration/test_sign_in.py::test_logging_out_closes_the_sockets_within_a_second",
    ),
    Sabotage(
        "18", "Host not checked",
        (
            Edit("pylon/server/http/gate.py",
                 "        if host not in self._services.known_hosts:\n", "        if False:\n"),
        ),
        "tests/integration/test_strictness.py::test_foreign_hosts_and_origins_are_turned_away",
    ),
    Sabotage(
        "19", "an I/O error at commit ignored",
        (
            Edit(f"{STORAGE}/writer.py",
                 "            await self._recover(taken, error)\n            return\n",
                 "            _log.error(\"ignored %s\", error)\n"),
        ),
        "tests/unit/server/storage/test_writer.py"
        "::test_a_failed_commit_is_unknown_until_it_was_looked_at",
    ),
    Sabotage(
        "20", "a number given twice after the newest records went",
        (
            Edit(f"{STORAGE}/change_log.py", "    return max(newest or 0, floor), horizon\n",
                 "    return newest or 0, horizon\n"),
        ),
        "tests/unit/server/storage/test_trimming.py::test_the_last_transaction_goes_too",
    ),
    Sabotage(
        "21", "backup by copying the main file without the WAL",
        (
            Edit("pylon/sqlite.py",
                 "        source.backup(target, pages=_PAGES_AT_ONCE, progress=tell)\n",
                 "        main = source.execute(\"PRAGMA database_list\").fetchone()[2]\n"
                 "        path.write_bytes(Path(main).read_bytes())\n"),
        ),
        "tests/integration/test_copies.py::test_a_runtime_that_died_is_copied_whole",
    ),
    Sabotage(
        "22", "restore keeps the epoch",
        (
            Edit(f"{STORAGE}/restore.py",
                 "_LINEAGE = (\"database_id\", \"epoch\", \"token\", \"token_before\","
                 " \"switch\")\n",
                 "_LINEAGE = ()\n"),
        ),
        "tests/unit/server/storage/test_restore.py"
        "::test_a_restored_database_is_another_history",
    ),
    Sabotage(
        "26", "malformed cursor read as 0",
        (
            Edit("pylon/protocol/change.py",
                 "    if not is_wellformed or int(digits) > limits.SAFE_INTEGER_MAX:\n",
                 "    if not is_wellformed:\n        return None\n"
                 "    if int(digits) > limits.SAFE_INTEGER_MAX:\n"),
        ),
        "tests/integration/test_order_of_judgement.py::test_parameters_are_known_and_well_formed",
    ),
    Sabotage(
        "28", "columns read by position after an added field",
        (
            Edit(f"{STORAGE}/tables.py",
                 "        self.select_sql = f'SELECT {listed} FROM \"{entity.name}\"'\n",
                 "        self.select_sql = f'SELECT * FROM \"{entity.name}\"'\n"),
            Edit(f"{STORAGE}/tables.py",
                 "        row = dict(zip(self.columns, stored, strict=True))\n",
                 "        row = dict(zip(self.columns, stored, strict=False))\n"),
        ),
        "tests/unit/server/storage/test_migrate.py::test_fields_may_change_their_places",
    ),
    Sabotage(
        "11 images", "slices of the image after the change alone",
        (
            Edit(f"{POLICY}/slices.py",
                 "        old, new = self.key(before), self.key(after)\n",
                 "        old, new = None, self.key(after)\n"),
        ),
        "tests/unit/policy/test_slices.py::test_what_comes_and_goes_moves_its_slice",
    ),
    Sabotage(
        "11 pooled", "keys of several exists in one pool, where they cancel out",
        (
            Edit(f"{POLICY}/slices.py",
                 "        found.setdefault(entity, {}).setdefault(where, {})[who] = None\n",
                 "        pool = found.setdefault(entity, {}).setdefault(where, {})\n"
                 "        if pool.pop(who, 1):\n"
                 "            pool[who] = None\n"),
        ),
        "tests/unit/policy/test_slices.py::test_keys_of_two_exists_do_not_cancel_out",
    ),
    Sabotage(
        "11 skipped", "no delete of an older entry where the image after it is visible too",
        (
            Edit(f"{SYNC}/view.py",
                 "        if policy is None or any(part is None for part in parts):\n",
                 "        if parts is not None:\n"),
            Edit(f"{SYNC}/projection.py",
                 '    return text_of(record, "delete") if was_visible else None\n',
                 "    if record.after is not None and all(judge(record.after)):\n"
                 "        return None\n"
                 '    return text_of(record, "delete") if was_visible else None\n'),
        ),
        "tests/properties/test_slices.py::test_an_older_delete_is_never_left_out",
    ),
    Sabotage(
        "11 asked", "what was read for a connection counts as asked through the head",
        (
            Edit(f"{SYNC}/pump.py", "                self._refresh(group, judged)\n",
                 "                self._refresh(group, self._position)\n"),
        ),
        "tests/unit/server/sync/test_refreshing.py::test_what_came_while_the_log_was_read_is_read_too",
    ),
    Sabotage(
        "15 sums", "sums over what the caller may not read",
        (
            Edit("pylon/server/functions/reads.py",
                 "            entity=selected.entity, policy=selected.policy, where=",
                 "            entity=selected.entity, policy=selected.where, where="),
        ),
        CANARIES,
    ),
    Sabotage(
        "9 content", "a row that leaves the view leaves with its content",
        (
            Edit(f"{SYNC}/subscription_index.py",
                 'wire = None if kind == "delete" else _wire_without(',
                 'wire = None if kind == "delete" and cause is None else _wire_without('),
        ),
        CANARIES,
    ),
    Sabotage(
        "8 neighbours", "neighbours without their own policy",
        (
            Edit("pylon/server/functions/includes.py",
                 "                policy=read_clause(definition, identity, target, now),\n",
                 "                policy=SqlClause(\"1\", ()),\n"),
            Edit("pylon/server/functions/includes.py",
                 "from pylon.server.storage.expand import Hop\n",
                 "from pylon.policy.sqlclause import SqlClause\n"
                 "from pylon.server.storage.expand import Hop\n"),
        ),
        CANARIES,
    ),
    Sabotage(
        "16 shared", "the value of a followed function goes to whoever follows the same call",
        (
            Edit("pylon/server/functions/asked.py",
                 "            _seen_of(identity) if self.is_about_caller else None,\n",
                 "            None,\n"),
        ),
        "tests/simulation/test_followed.py::test_followers_show_what_their_calls_answer",
    ),
    Sabotage(
        "16 window", "a followed list counts what is behind its last row, and not what is before",
        (
            Edit("pylon/server/functions/readset.py",
                 "            if not stands_before(self.order, values, self.last):\n",
                 "            if stands_before(self.order, values, self.last):\n"),
        ),
        "tests/simulation/test_followed.py::test_followers_show_what_their_calls_answer",
    ),
)  # fmt: skip
