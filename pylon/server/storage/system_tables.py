"""The tables of our own, column by column. Created, or brought up to this, in one transaction.

`_pylon_log` is the change log, `_pylon_ops` the memory of operations; the rest belongs to accounts,
to jobs, to workflows, and to what the dashboard knows. A release that adds tables, indexes or
columns raises `FORMAT`: tables and indexes are made where they are missing, and a column that joins
a table of an older release stands in its statement and in `ADDED_COLUMNS`, nullable or with a
default.
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = 4

STATEMENTS: Final = (
    # One value per key: epoch, format, schema, lineage tokens, horizon, head_floor, rewritten, the
    # policies served last, what read policies mean (read_meanings), for each entity whose table was
    # dropped the head of then (dropped:ENTITY), and for each user whose roles changed the number
    # that this took (identity USER).
    "CREATE TABLE IF NOT EXISTS _pylon_meta (key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID",
    # seq: position; tx: equal for the changes of one transaction; at: Unix ms, informative;
    # before, after: images (JSON with private fields), null where there was or is no row; of a
    # slice, which is of no row (row_id ''), after says which rows and whose ("where", "who");
    # actor: user id, null for anonymous and system; cause: what asked for it.
    """CREATE TABLE IF NOT EXISTS _pylon_log (
        seq INTEGER PRIMARY KEY NOT NULL, tx INTEGER NOT NULL, at INTEGER NOT NULL,
        entity TEXT NOT NULL, row_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('insert', 'update', 'delete', 'slice')),
        before TEXT, after TEXT, actor TEXT, cause TEXT, operation_id TEXT)""",
    "CREATE INDEX IF NOT EXISTS _pylon_log_row ON _pylon_log (entity, row_id, seq)",
    # content: hash of function and arguments; outcome: the answer as it was given.
    """CREATE TABLE IF NOT EXISTS _pylon_ops (
        principal TEXT NOT NULL, op_id TEXT NOT NULL, at INTEGER NOT NULL,
        content BLOB NOT NULL, outcome TEXT NOT NULL,
        PRIMARY KEY (principal, op_id)) WITHOUT ROWID""",
    # email: normalised; `none:ID` where there is none. roles: JSON list; auth_version rises with
    # every change of roles, claims or disabled. proven: 0 while nobody showed that the address is
    # his; guest: 1 until somebody did.
    """CREATE TABLE IF NOT EXISTS _pylon_accounts (
        id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL UNIQUE, roles TEXT NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0, auth_version INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL, proven INTEGER NOT NULL DEFAULT 1,
        guest INTEGER NOT NULL DEFAULT 0)""",
    # hash: of the token, which is never stored; kind: session (cookie), token (API), link, or
    # ticket (a sign-in that waits for its second factor). seen_at: when it was last used, to the
    # minute; device: the browser as it called itself; scope: JSON of what a token may, null: all.
    """CREATE TABLE IF NOT EXISTS _pylon_sessions (
        id TEXT PRIMARY KEY NOT NULL, hash BLOB NOT NULL UNIQUE, user_id TEXT NOT NULL,
        kind TEXT NOT NULL, name TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        seen_at INTEGER, device TEXT, scope TEXT)""",
    "CREATE INDEX IF NOT EXISTS _pylon_sessions_user ON _pylon_sessions (user_id)",
    # One row per code sent; hash: of code and address; tries: wrong ones so far; browser: hash of
    # the secret that the asking browser got, null for programs; link: hash of the link's token;
    # network: whence it was asked.
    """CREATE TABLE IF NOT EXISTS _pylon_codes (
        id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL, hash BLOB NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0, used INTEGER NOT NULL DEFAULT 0,
        browser BLOB, link BLOB, network TEXT)""",
    "CREATE INDEX IF NOT EXISTS _pylon_codes_email ON _pylon_codes (email, created_at)",
    # What else signs somebody in. hash: argon2id with its parameters and salt.
    """CREATE TABLE IF NOT EXISTS _pylon_passwords (
        user_id TEXT PRIMARY KEY NOT NULL, hash TEXT NOT NULL, changed_at INTEGER NOT NULL)""",
    # secret: of RFC 6238; confirmed: 0 until a first code was shown; step: of the last code used.
    """CREATE TABLE IF NOT EXISTS _pylon_totp (
        user_id TEXT PRIMARY KEY NOT NULL, secret BLOB NOT NULL,
        confirmed INTEGER NOT NULL DEFAULT 0, step INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL)""",
    # The codes for a lost phone, each usable once.
    """CREATE TABLE IF NOT EXISTS _pylon_recovery (
        user_id TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (user_id, hash)) WITHOUT ROWID""",
    # Who somebody is at a provider: (issuer, subject) never changes, an address may.
    """CREATE TABLE IF NOT EXISTS _pylon_identities (
        issuer TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL, email TEXT,
        created_at INTEGER NOT NULL, PRIMARY KEY (issuer, subject)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_identities_user ON _pylon_identities (user_id)",
    # Who went to a provider to sign in, by the hash of the state; gone when he comes back.
    """CREATE TABLE IF NOT EXISTS _pylon_departures (
        state BLOB PRIMARY KEY NOT NULL, provider TEXT NOT NULL, browser BLOB NOT NULL,
        verifier TEXT NOT NULL, nonce TEXT NOT NULL, redirect_uri TEXT NOT NULL,
        next TEXT NOT NULL, user_id TEXT, created_at INTEGER NOT NULL) WITHOUT ROWID""",
    # What each replica said it has stored; for the dashboard, never for the cursor's promise.
    """CREATE TABLE IF NOT EXISTS _pylon_clients (
        client_id TEXT NOT NULL, principal TEXT NOT NULL, email TEXT, epoch TEXT NOT NULL,
        seq INTEGER NOT NULL, pending INTEGER, last_seen INTEGER NOT NULL, user_agent TEXT,
        PRIMARY KEY (client_id, principal)) WITHOUT ROWID""",
    # n: order of arrival; principal: user, system or anonymous, and user_id whose; due_at: earliest
    # start, Unix ms; job_key: at most one live job of a name has it; attempt: counted when claimed;
    # token: rises with every claim and every end of one, fences who is late; lease_until: Unix ms,
    # informative; cause: what enqueued it; is_secret: arguments are shown to nobody and do not
    # outlive the job.
    """CREATE TABLE IF NOT EXISTS _pylon_jobs (
        n INTEGER PRIMARY KEY NOT NULL, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        queue TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN
            ('scheduled', 'available', 'running', 'completed', 'cancelled', 'dead')),
        args TEXT NOT NULL, principal TEXT NOT NULL, user_id TEXT,
        priority INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL, job_key TEXT,
        attempt INTEGER NOT NULL DEFAULT 0, retries INTEGER NOT NULL,
        token INTEGER NOT NULL DEFAULT 0, lease_until INTEGER, created_at INTEGER NOT NULL,
        started_at INTEGER, ended_at INTEGER, error TEXT, traceback TEXT, result TEXT,
        progress REAL, progress_text TEXT, cause TEXT, is_secret INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS _pylon_jobs_ready ON _pylon_jobs (queue, priority DESC, due_at, n)"
    " WHERE state = 'available'",
    "CREATE INDEX IF NOT EXISTS _pylon_jobs_due ON _pylon_jobs (due_at) WHERE state = 'scheduled'",
    "CREATE INDEX IF NOT EXISTS _pylon_jobs_running ON _pylon_jobs (n) WHERE state = 'running'",
    "CREATE INDEX IF NOT EXISTS _pylon_jobs_ended ON _pylon_jobs (ended_at)"
    " WHERE state IN ('completed', 'cancelled')",
    "CREATE INDEX IF NOT EXISTS _pylon_jobs_dead ON _pylon_jobs (ended_at) WHERE state = 'dead'",
    "CREATE UNIQUE INDEX IF NOT EXISTS _pylon_jobs_key ON _pylon_jobs (name, job_key)"
    " WHERE job_key IS NOT NULL AND state IN ('scheduled', 'available', 'running')",
    # A queue that somebody paused.
    """CREATE TABLE IF NOT EXISTS _pylon_queues (
        queue TEXT PRIMARY KEY NOT NULL, paused_at INTEGER NOT NULL) WITHOUT ROWID""",
    # last_slot: the newest slot of a schedule that was dealt with, Unix ms.
    """CREATE TABLE IF NOT EXISTS _pylon_schedules (
        name TEXT PRIMARY KEY NOT NULL, last_slot INTEGER NOT NULL) WITHOUT ROWID""",
    # sha256: of the bytes, by which they are stored; uploader: a principal, null for anonymous;
    # state: fresh (no row owned it yet), owned, released (none does any more), and since when.
    """CREATE TABLE IF NOT EXISTS _pylon_files (
        id TEXT PRIMARY KEY NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
        type TEXT NOT NULL, name TEXT NOT NULL, uploader TEXT, created_at INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('fresh', 'owned', 'released')),
        since INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS _pylon_files_bytes ON _pylon_files (sha256)",
    "CREATE INDEX IF NOT EXISTS _pylon_files_uploader ON _pylon_files (uploader, size)",
    "CREATE INDEX IF NOT EXISTS _pylon_files_leaving ON _pylon_files (state, since)"
    " WHERE state <> 'owned'",
    # Which fields of which rows hold a file.
    """CREATE TABLE IF NOT EXISTS _pylon_file_owners (
        file_id TEXT NOT NULL, entity TEXT NOT NULL, row_id TEXT NOT NULL, field TEXT NOT NULL,
        PRIMARY KEY (file_id, entity, row_id, field)) WITHOUT ROWID""",
    # Data migrations that were run. cursor: JSON, where one in parts goes on, null at its end and
    # before its first part; hash: of the file's text then; changes: records of the log.
    """CREATE TABLE IF NOT EXISTS _pylon_migrations (
        number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, cursor TEXT,
        parts INTEGER NOT NULL, changes INTEGER NOT NULL, applied_at INTEGER)""",
    # Uploads in pieces. kept: bytes that were synced to the disk; file: the file object once it is
    # complete, for whom did not hear so.
    """CREATE TABLE IF NOT EXISTS _pylon_uploads (
        id TEXT PRIMARY KEY NOT NULL, uploader TEXT, name TEXT NOT NULL, type TEXT NOT NULL,
        length INTEGER NOT NULL, kept INTEGER NOT NULL DEFAULT 0, expires_at INTEGER NOT NULL,
        file TEXT)""",
    "CREATE INDEX IF NOT EXISTS _pylon_uploads_expiry ON _pylon_uploads (expires_at)",
    "CREATE INDEX IF NOT EXISTS _pylon_uploads_uploader ON _pylon_uploads (uploader)",
    # Runs of workflows. run_key: at most one live run of a name has it; parent, parent_path: the
    # step of another run that waits for this one; depth: how many parents are above; wake_at: when
    # the next timer of it rings, Unix ms; seq: records of its journal so far, bytes: of their
    # results; lost: how often the process ended since its last record; error: JSON, as its parent
    # gets it; seed, began_at: what its chance comes from, and its first time: a rerun's are those
    # of its origin.
    """CREATE TABLE IF NOT EXISTS _pylon_workflows (
        n INTEGER PRIMARY KEY NOT NULL, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('running', 'parked', 'diverged', 'completed', 'failed', 'cancelled')),
        run_key TEXT, args TEXT NOT NULL, principal TEXT NOT NULL, user_id TEXT,
        parent INTEGER, parent_path TEXT, depth INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL, ended_at INTEGER, wake_at INTEGER,
        seq INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0, result TEXT, error TEXT, traceback TEXT,
        cause TEXT, seed TEXT NOT NULL, began_at INTEGER NOT NULL, origin TEXT)""",
    "CREATE INDEX IF NOT EXISTS _pylon_workflows_running ON _pylon_workflows (n)"
    " WHERE state = 'running'",
    "CREATE INDEX IF NOT EXISTS _pylon_workflows_wake ON _pylon_workflows (wake_at)"
    " WHERE wake_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS _pylon_workflows_diverged ON _pylon_workflows (n)"
    " WHERE state = 'diverged'",
    "CREATE INDEX IF NOT EXISTS _pylon_workflows_ended ON _pylon_workflows (ended_at)"
    " WHERE ended_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS _pylon_workflows_parent ON _pylon_workflows (parent)"
    " WHERE parent IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS _pylon_workflows_key ON _pylon_workflows (name, run_key)"
    " WHERE run_key IS NOT NULL AND state IN ('running', 'parked', 'diverged')",
    # The journal of a run. path: where in the code, "2" or, in a gather, "3.1.2"; seq: in which
    # order outcomes were recorded, null while there is none; kind: step, sleep, wait, child or
    # version; attempt: how often it was begun, failures: how often that failed; due_at: when a
    # timer, a timeout or the next try is due, null for what is under way; place: file and line.
    """CREATE TABLE IF NOT EXISTS _pylon_journal (
        run INTEGER NOT NULL, path TEXT NOT NULL, seq INTEGER, kind TEXT NOT NULL,
        name TEXT NOT NULL, fn TEXT, args TEXT, attempt INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0, due_at INTEGER, begun_at INTEGER NOT NULL,
        ended_at INTEGER, result TEXT, error TEXT, place TEXT, child TEXT,
        PRIMARY KEY (run, path)) WITHOUT ROWID""",
    # Signals that no run has taken yet, in order of arrival; data: JSON.
    """CREATE TABLE IF NOT EXISTS _pylon_signals (
        n INTEGER PRIMARY KEY NOT NULL, run INTEGER NOT NULL, event TEXT NOT NULL,
        data TEXT NOT NULL, at INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS _pylon_signals_run ON _pylon_signals (run, n)",
)  # fmt: skip

#: (table, column, declaration) of columns that joined a table after its first release.
ADDED_COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("_pylon_accounts", "proven", "INTEGER NOT NULL DEFAULT 1"),
    ("_pylon_accounts", "guest", "INTEGER NOT NULL DEFAULT 0"),
    ("_pylon_sessions", "seen_at", "INTEGER"),
    ("_pylon_sessions", "device", "TEXT"),
    ("_pylon_sessions", "scope", "TEXT"),
    ("_pylon_codes", "browser", "BLOB"),
    ("_pylon_codes", "link", "BLOB"),
    ("_pylon_codes", "network", "TEXT"),
)
