"""Every bound in one file. Each says what it bounds, why, and what gives way there.

Units are the last word of a name. Those marked (setting) can be changed in `pylon.toml`.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# --- JSON from outside -------------------------------------------------------------------
#: One JSON body or client frame. Above it: 413 PAYLOAD_TOO_LARGE, or close 1009.
BODY_BYTES_MAX: Final = 1 * MIB
WS_MESSAGE_BYTES_MAX: Final = 1 * MIB
#: Nesting and keys of one body: parsers recurse and dictionaries grow. Above: 400 INVALID_JSON.
JSON_DEPTH_MAX: Final = 64
JSON_KEYS_MAX: Final = 10_000
#: Digits of one integer: quadratic conversion. Above: 400 INVALID_JSON.
JSON_INTEGER_DIGITS_MAX: Final = 19
#: The largest integer that a browser keeps exactly, 2^53-1. Above, in `int`: 400.
SAFE_INTEGER_MAX: Final = 2**53 - 1

# --- rows and transactions ---------------------------------------------------------------
#: One row's text. Above: 413 PAYLOAD_TOO_LARGE.
ROW_BYTES_MAX: Final = 512 * KIB
#: One transaction. Above: 413 TRANSACTION_TOO_LARGE, nothing stored.
TRANSACTION_ROWS_MAX: Final = 10_000
TRANSACTION_BYTES_MAX: Final = 8 * MIB
#: Characters of a text whose field has a `pattern`: matching may backtrack. Above: 400.
PATTERN_TEXT_MAX: Final = 1_000
#: Operations of one push. Above: 400 INVALID_ARGUMENT.
PUSH_OPERATIONS_MAX: Final = 1_000
#: Rows of one part of an import, a transaction of its own: others' writes go on between two.
#: Above: 400 INVALID_ARGUMENT.
IMPORT_ROWS_MAX: Final = 200
#: Rows (about) of one group commit: bounds how long the loop is held. The rest waits for the next.
BATCH_ROWS_MAX: Final = 400
#: Operations waiting for the writer. Above: 503 UNAVAILABLE, reason `busy`.
WRITER_QUEUE_MAX: Final = 10_000

# --- lists, filters, policies ------------------------------------------------------------
#: One page of a list. Outside 1..max: 400.
LIST_LIMIT_MAX: Final = 1_000
LIST_LIMIT_DEFAULT: Final = 100
#: Characters of one page of a list. Above: the page ends there, and `next` goes on.
LIST_BYTES_MAX: Final = 8 * MIB
#: One filter. Above: 400.
FILTER_TERMS_MAX: Final = 100
FILTER_DEPTH_MAX: Final = 8
#: Items of one `in` list. Above: 400.
FILTER_LIST_MAX: Final = 1_000
#: One question for aggregates: how many, over how many fields of a group. Above: 400.
AGGREGATES_MAX: Final = 20
AGGREGATE_GROUP_FIELDS_MAX: Final = 8
#: Groups of one answer, which is never cut short. Above: 400, ask for less by `where`.
AGGREGATE_GROUPS_MAX: Final = 1_000
#: One `include`: hops of a path, and relations in all, each a statement. Above: 400.
INCLUDE_HOPS_MAX: Final = 6
INCLUDE_RELATIONS_MAX: Final = 20
#: Included rows of one answer, and all text that is put together for it. Above: 413.
INCLUDE_ROWS_MAX: Final = 10_000
INCLUDE_BYTES_MAX: Final = 16 * MIB
#: Values of one hop of a subscription's `include` that are told one by one when what leads there
#: changes. Above: all that the hop leads to is sent anew.
INCLUDE_VALUES_MAX: Final = 64
#: Characters of a key of a job, of a run of a workflow or of `ctx.once`. Above: 400.
KEY_CHARACTERS_MAX: Final = 200
#: One text to search for. Above: 400.
SEARCH_TEXT_MAX: Final = 1_000
SEARCH_WORDS_MAX: Final = 32
#: One policy expression. Above: the app does not load.
POLICY_BYTES_MAX: Final = 8 * KIB
POLICY_DEPTH_MAX: Final = 64
POLICY_EXISTS_MAX: Final = 8
#: One duration: a hundred years, beyond which times leave the calendar. Above: a load mistake.
POLICY_DURATION_MS_MAX: Final = 36_525 * 86_400_000
#: Steps of a proof about policies, and worlds made up in search of a proof that there is one.
#: Above: `not decided`.
POLICY_WORLDS_MAX: Final = 5_000
POLICY_WITNESS_TRIES: Final = 400
#: What a reload changes for whom is measured over so many users of each set of roles, so many in
#: all, and so many rows of an entity; for so many seconds for each changed policy, and for all.
POLICY_SAMPLE_USERS: Final = 5
POLICY_SAMPLE_USERS_ALL: Final = 50
POLICY_SAMPLE_ROWS: Final = 2_000
POLICY_EFFECT_SECONDS: Final = 2.0
POLICY_EFFECTS_SECONDS: Final = 6.0

#: Changes that are tried for the nearest flip of a denial. Above: the rest is not tried.
EXPLAIN_CHANGES_MAX: Final = 256
#: Rows that the nearest one to an `exists` is looked for among, by each of its keys.
EXPLAIN_ROWS_MAX: Final = 100
#: The explanation in a refusal of `pylon dev`. Above: it comes without its tree.
EXPLAIN_BYTES_MAX: Final = 64 * KIB
#: Refused operations whose explanation `pylon dev` keeps for repeats. Above: the oldest go.
EXPLAINED_OPERATIONS_MAX: Final = 500

#: Slices of one entity in one transaction. Above: one slice of the whole entity, for everybody.
SLICES_PER_ENTITY_MAX: Final = 256
#: Callers that one slice names. Above: it is everybody's.
SLICE_WHO_MAX: Final = 64

# --- change log --------------------------------------------------------------------------
#: The log keeps what is inside either bound; older cursors get resync. (setting)
RETAIN_CHANGES: Final = 1_000_000
RETAIN_DAYS: Final = 30
#: Operation ids outlive the log by this much. Older: OPERATION_EXPIRED.
OPERATION_EXTRA_DAYS: Final = 14
#: Operation ids remembered in all; the oldest go first. Ids from before those: OPERATION_EXPIRED.
OPERATIONS_MAX: Final = 5_000_000
#: Log entries looked at by one pull. Outside 1..max: 400.
PULL_LIMIT_MAX: Final = 1_000
#: Entries of the tail kept in memory for live delivery; older ones are read from the file.
TAIL_ENTRIES_MAX: Final = 10_000
TAIL_BYTES_MAX: Final = 16 * MIB

# --- connections -------------------------------------------------------------------------
#: Bytes queued for one socket beyond the frame being written. Above: caught up from the log.
#: (setting)
SEND_QUEUE_BYTES_MAX: Final = 1 * MIB
#: A slow reader without progress for so long is closed with 1013. (setting)
SEND_STALL_SECONDS: Final = 30.0
#: One server frame on catch-up, unless one transaction is larger.
FRAME_BYTES_MAX: Final = 1 * MIB
#: TCP connections per address, and in all. Above: closed before anything is read.
CONNECTIONS_PER_ADDRESS_MAX: Final = 4_000
CONNECTIONS_MAX: Final = 12_000
#: Open files that a runtime asks the system for, where it may: one for each connection and more.
OPEN_FILES_WANTED: Final = 16_384
#: Sockets per user and per address, and in all. Above: 429 before the upgrade. (setting)
SOCKETS_PER_USER_MAX: Final = 2_000
SOCKETS_PER_ADDRESS_MAX: Final = 2_000
SOCKETS_MAX: Final = 10_000
#: Subscriptions of one socket. Above: `error` RATE_LIMITED, the socket stays. (setting)
SUBSCRIPTIONS_MAX: Final = 100
#: Subscriptions per user and per address, and in all: each is asked about every write of its
#: entity. Above: `error` RATE_LIMITED, the socket stays; an event stream is 429. (setting)
SUBSCRIPTIONS_PER_USER_MAX: Final = 20_000
SUBSCRIPTIONS_PER_ADDRESS_MAX: Final = 100_000
SUBSCRIPTIONS_TOTAL_MAX: Final = 200_000
#: Calls of one socket that wait for their answers, and as many pushes. Above: `error` RATE_LIMITED.
CALLS_PER_SOCKET_MAX: Final = 100
#: Actions under way for one user, for one address, and in all. Above: 429.
ACTIONS_PER_USER_MAX: Final = 100
ACTIONS_PER_ADDRESS_MAX: Final = 200
ACTIONS_MAX: Final = 1_000
#: One part of a stream, and what is unread on a socket. Above: 413, and streams to it wait.
PART_BYTES_MAX: Final = 1 * MIB
PART_QUEUE_BYTES_MAX: Final = 128 * KIB
#: Time for `hello`. After it: close 4408.
HELLO_SECONDS: Final = 10.0
#: Welcomes a second once so many came at once: who comes back after a restart must not starve
#: who is there already. Above: they wait in line.
WELCOMES_PER_SECOND: Final = 500.0
WELCOMES_AT_ONCE: Final = 500
#: The longest that the line may be. Above: 429 before the upgrade, with Retry-After.
WELCOME_LINE_SECONDS: Final = 5.0
#: Over how long a goodbye spreads the return of many.
RECONNECT_SECONDS: Final = 6.0
#: Ping interval; two missed close the connection. (setting)
HEARTBEAT_SECONDS: Final = 15.0
#: A revoked or expired session loses its sockets within this time (I63, I64).
REVOKE_SECONDS: Final = 1.0
#: Rows of one snapshot page.
SNAPSHOT_PAGE_ROWS: Final = 1_000
#: Snapshot pages under way over HTTP per user and per address, and in all: each holds a page in
#: memory. Above: 429. Those of sockets wait for their turn instead. (setting)
SNAPSHOTS_PER_USER_MAX: Final = 50
SNAPSHOTS_PER_ADDRESS_MAX: Final = 200
SNAPSHOTS_MAX: Final = 500
#: Rows that a refresh sends to one caller, and bytes of one over pull and events, where it is whole
#: in one batch. Above: RESYNC_REQUIRED, reason `slice_too_large`.
REFRESH_ROWS_MAX: Final = 50_000
REFRESH_BYTES_MAX: Final = 32 * MIB
#: How often the rows of an entity are told anew whose policy uses `now` in a way that does not say
#: when it turns, while somebody follows it.
UNFORESEEN_SECONDS: Final = 30.0
#: Connections at one time for which refreshes are read; the others wait.
REFRESHES_AT_ONCE: Final = 2
#: Rows of one window (`order` + `limit`). Above: 400.
WINDOW_ROWS_MAX: Final = 1_000

#: Latency and jitter of a shaped connection (development). Above: 400.
SHAPE_DELAY_MS_MAX: Final = 60_000.0
#: Bytes on their way through one direction of a shaped connection. Above: the frame is lost.
SHAPE_HELD_BYTES_MAX: Final = 16 * MIB
#: Clients that left whose subscriptions are remembered, for the dashboard. The oldest go first.
WANTS_KEPT_MAX: Final = 1_000
#: Shaped clients; the oldest is forgotten for one more.
SHAPES_MAX: Final = 1_000

# --- time --------------------------------------------------------------------------------
#: A `def` function's budget on the loop. Above: rolled back, FUNCTION_TIMEOUT. (per function)
FUNCTION_SECONDS: Final = 0.2
#: What a function returns, as JSON. Above: 413 PAYLOAD_TOO_LARGE, rolled back.
RESULT_BYTES_MAX: Final = 8 * MIB
#: An action (per function), and its `finally`. Above: cancelled; it reaches nothing more.
ACTION_SECONDS: Final = 600.0
ACTION_CLEANUP_SECONDS: Final = 10.0
#: An answer that `ctx.http` reads whole. Above: aiohttp.ClientPayloadError.
OUTGOING_BYTES_MAX: Final = 32 * MIB
#: A webhook, and its body where it asks for a larger one. Above: FUNCTION_TIMEOUT, 413.
WEBHOOK_SECONDS: Final = 30.0
WEBHOOK_BYTES_MAX: Final = 25 * MIB
#: One `on_start` or `on_stop` hook. Above: cancelled and logged, the others run all the same.
HOOK_SECONDS: Final = 10.0
#: One read on a reader thread. Above: interrupted, FUNCTION_TIMEOUT.
READ_SECONDS: Final = 10.0
#: Queries with a larger `timeout=` that run (one does) or wait. Above: 503, reason `busy`.
LONG_QUERIES_MAX: Final = 100
#: Time to read a request's headers and body. Above: the connection is closed.
HEADER_SECONDS: Final = 10.0
#: SIGTERM to exit.
DRAIN_SECONDS: Final = 10.0
#: A hung loop is reported with its stack after, and the process restarted after.
HANG_REPORT_SECONDS: Final = 2.0
HANG_RESTART_SECONDS: Final = 10.0
#: Memory of the runtime, as a share of what the machine has (setting), and at least so many MiB.
#: Above: MemoryError in whatever asks for more. Above that share of it: the runtime is restarted.
MEMORY_SHARE: Final = 0.75
MEMORY_MB_MIN: Final = 256
MEMORY_RESTART_SHARE: Final = 0.9
#: The supervisor restarts a crashed runtime at most so often within the window.
RESTARTS_MAX: Final = 5
RESTART_WINDOW_SECONDS: Final = 60.0
#: A dashboard that died takes its runtime with it within this time.
ORPHAN_SECONDS: Final = 3.0
#: A detached runtime to which nobody came for so long sleeps (setting); its port stays open, and
#: the first connection wakes it.
SLEEP_MINUTES: Final = 30.0
#: Where something is due sooner it stays awake; it is woken so long before what is due.
SLEEP_SECONDS_MIN: Final = 60.0
WAKE_AHEAD_SECONDS: Final = 10.0

# --- jobs ----------------------------------------------------------------------------------
#: Runs after the first, and the pause before the first of them; it doubles with each. (per job)
JOB_RETRIES: Final = 10
JOB_BACKOFF_SECONDS: Final = 5.0
#: The longest pause between two attempts, before chance is added.
JOB_BACKOFF_SECONDS_MAX: Final = 21_600.0
#: An `async def` job. Above: cancelled, and that attempt has failed. (per job)
JOB_SECONDS: Final = 300.0
#: How long a running job is nobody else's; extended three times as often. Above: the attempt can
#: neither complete nor fail it any more, and the job is run again.
JOB_LEASE_SECONDS: Final = 30.0
#: Jobs of one queue that run at a time (setting), and of all queues: the others wait.
QUEUE_CONCURRENCY: Final = 10
JOBS_RUNNING_MAX: Final = 200
#: One job's arguments, and its result. Above: 413 PAYLOAD_TOO_LARGE.
JOB_BYTES_MAX: Final = 256 * KIB
#: What is kept of an error and of its traceback. The rest is cut off.
JOB_ERROR_CHARACTERS_MAX: Final = 2_000
JOB_TRACEBACK_CHARACTERS_MAX: Final = 16_000
#: Jobs enqueued by one transaction. Above: 413 TRANSACTION_TOO_LARGE.
JOBS_PER_TRANSACTION_MAX: Final = 10_000
#: How long a job may be put off. Above: 400 INVALID_ARGUMENT.
JOB_DELAY_DAYS_MAX: Final = 3_660
#: Completed and cancelled jobs are kept so long, and so many of them; dead ones likewise.
JOBS_KEPT_DAYS: Final = 7
JOBS_KEPT_MAX: Final = 10_000
DEAD_JOBS_KEPT_DAYS: Final = 90
DEAD_JOBS_KEPT_MAX: Final = 10_000
#: The timer for the next due job or slot never sleeps longer: the machine's clock may be set.
JOB_TIMER_SECONDS: Final = 60.0
#: A warped clock waits so long for what is due at one moment of its way; then that runs on, named.
WARP_STEP_SECONDS: Final = 5.0
#: Moments that one jump of it passes through. Above: it stops there and says so.
WARP_STEPS_MAX: Final = 100_000
#: How far it goes ahead of the machine's. Above: 400.
WARP_DAYS_MAX: Final = 3_660
#: One mail: its text and HTML. Above: 413 PAYLOAD_TOO_LARGE.
MAIL_BYTES_MAX: Final = 200 * KIB
MAIL_SUBJECT_CHARACTERS_MAX: Final = 255
#: Talking to the mail server about one mail. Above: tried again later.
MAIL_SECONDS: Final = 60.0

# --- workflows -----------------------------------------------------------------------------
#: Runs that are driven at a time: the others wait their turn. Parked runs are none of them.
WORKFLOWS_ACTIVE_MAX: Final = 200
#: Steps of one run, and bytes of what they recorded. Above: the run fails, WORKFLOW_TOO_LONG.
WORKFLOW_STEPS_MAX: Final = 10_000
WORKFLOW_JOURNAL_BYTES_MAX: Final = 16 * MIB
#: A run's arguments, a step's arguments and its result, a signal's data. Above: 413
#: PAYLOAD_TOO_LARGE, and for a step that is its failure.
WORKFLOW_BYTES_MAX: Final = 256 * KIB
#: Tries of a step after the first, and the pause before the first of them; it doubles with each.
STEP_RETRIES: Final = 5
STEP_BACKOFF_SECONDS: Final = 2.0
#: An action as a step. Above: cancelled, and that try has failed. (per step)
STEP_SECONDS: Final = 300.0
#: Signals of one run that nobody has waited for yet. Above: 409 CONFLICT.
WORKFLOW_SIGNALS_MAX: Final = 1_000
#: Children of children: so deep. Above: the step that would start one more fails.
WORKFLOW_DEPTH_MAX: Final = 16
#: How often the process may end while a run works on one and the same step. Above: the run fails.
WORKFLOW_LOSSES_MAX: Final = 20
#: How long a run may sleep, or wait. Above: INVALID_ARGUMENT.
WORKFLOW_WAIT_DAYS_MAX: Final = 3_660
#: Ended runs are kept so long, and so many of them.
WORKFLOWS_KEPT_DAYS: Final = 30
WORKFLOWS_KEPT_MAX: Final = 10_000

# --- accounts ----------------------------------------------------------------------------
#: A magic code lives so long, dies after so many wrong tries.
CODE_SECONDS: Final = 600.0
CODE_TRIES_MAX: Final = 5
#: A sign-in by a provider takes so long at most; each answer of the provider's as well.
OAUTH_SECONDS: Final = 600.0
OAUTH_ANSWER_SECONDS: Final = 10.0
#: Codes sent to one e-mail address: in all, and for one network that asks. Above: the same answer
#: and no mail.
CODES_PER_ACCOUNT_HOUR: Final = 10
CODES_PER_ACCOUNT_NETWORK_HOUR: Final = 5
CODES_PER_ACCOUNT_NETWORK_DAY: Final = 20
#: Codes asked for by one network. Above: 429.
CODES_PER_ADDRESS_HOUR: Final = 60
#: Characters of a password. Outside: 400.
PASSWORD_CHARACTERS_MIN: Final = 10
PASSWORD_CHARACTERS_MAX: Final = 1_024
#: Passwords tried for one address: from one network and in all, at once and per minute after that.
#: Above: 429, whether it has an account or not.
PASSWORD_TRIES_NETWORK: Final = 10
PASSWORD_TRIES: Final = 50
PASSWORD_TRIES_PER_MINUTE: Final = 2
#: Second factors tried for one account, at once and per minute after that. Above: 429.
TOTP_TRIES: Final = 5
TOTP_TRIES_PER_MINUTE: Final = 2
#: Accounts that one network makes without an address proven (registered, guests) at once and per
#: hour after that. Above: 429.
NEW_ACCOUNTS_PER_ADDRESS: Final = 20
#: Slow hashes of codes and passwords at once, and waiting. Above: 503 UNAVAILABLE, reason `busy`.
HASHES_AT_ONCE: Final = 2
HASHES_WAITING_MAX: Final = 100
#: Requests to sign in, and to any other auth route, per address: on average and at once. The
#: development login has none. Above: 429.
SIGN_INS_PER_SECOND: Final = 0.5
SIGN_INS_AT_ONCE: Final = 30
AUTH_CALLS_PER_SECOND: Final = 20
AUTH_CALLS_AT_ONCE: Final = 200
#: A login session. (setting)
SESSION_DAYS: Final = 30
#: Sessions of one account: the one that was unused for longest goes. Tokens: 409 above.
SESSIONS_PER_USER_MAX: Final = 100
TOKENS_PER_USER_MAX: Final = 100
#: Mails kept in `.pylon/outbox/`; older ones are removed.
OUTBOX_MAILS_MAX: Final = 1_000

# --- what is kept for people -------------------------------------------------------------
#: Function calls and runtime log lines kept in memory for the dashboard.
CALLS_KEPT_MAX: Final = 1_000
#: Calls that ran so long are kept apart, with their statements; each text of SQL counts once.
SLOW_CALL_MS: Final = 50.0
SLOW_CALLS_KEPT_MAX: Final = 200
SLOW_STATEMENTS_KEPT_MAX: Final = 20
STATEMENTS_PER_CALL_MAX: Final = 200
#: Functions with counts of their own. Above: new ones are not counted.
FUNCTIONS_COUNTED_MAX: Final = 1_000
LOG_LINES_KEPT_MAX: Final = 5_000
#: The runtime's log file; a full one is set aside in place of the one before, when the runtime
#: starts or while it prints through its supervisor.
RUNTIME_LOG_BYTES_MAX: Final = 8 * MIB
#: Known clients (`_pylon_clients`); the longest unseen go first.
CLIENTS_MAX: Final = 10_000

assert BATCH_ROWS_MAX <= TRANSACTION_ROWS_MAX
assert ROW_BYTES_MAX <= BODY_BYTES_MAX <= TRANSACTION_BYTES_MAX
assert SEND_QUEUE_BYTES_MAX >= FRAME_BYTES_MAX
assert PULL_LIMIT_MAX <= TAIL_ENTRIES_MAX
assert REVOKE_SECONDS < HEARTBEAT_SECONDS
assert SOCKETS_MAX < CONNECTIONS_MAX < OPEN_FILES_WANTED
assert SOCKETS_PER_ADDRESS_MAX < CONNECTIONS_PER_ADDRESS_MAX
assert JOB_LEASE_SECONDS > HANG_RESTART_SECONDS
assert MAIL_BYTES_MAX < JOB_BYTES_MAX
assert WORKFLOW_BYTES_MAX < WORKFLOW_JOURNAL_BYTES_MAX
assert HANG_REPORT_SECONDS < HANG_RESTART_SECONDS
assert WAKE_AHEAD_SECONDS < SLEEP_SECONDS_MIN
