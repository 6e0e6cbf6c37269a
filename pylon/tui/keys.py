"""The dashboard's keys, and the help that is made of them."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding

from pylon.tui.widgets.line_list import LineList

#: Name, key and one line on each pane.
PANES: Final = (
    ("apps", "1", "Apps: your projects; enter goes over to one"),
    ("log", "2", "Log: every committed change"),
    ("data", "3", "Data: every entity's rows; filter, follow, edit, undo, look as anybody"),
    ("clients", "4", "Clients: who is connected, and how far they have come"),
    (
        "functions",
        "5",
        "Functions: how each does, last calls, slow ones with plans; try one",
    ),
    ("jobs", "6", "Jobs: queues, what waits, runs and failed; retry, cancel, pause"),
    ("workflows", "7", "Workflows: runs and what they wait for; signal, cancel, retry, rerun"),
    ("policies", "9", "Policies: who may do what, in words, and what deserves a look"),
    ("users", "U", "Users: accounts, roles, sessions; invite, disable, revoke"),
    ("mail", "m", "Mail: what was sent, with its codes and links"),
    ("files", "f", "Files: whose, how large, in which rows; delete, sweep, verify"),
    ("runtime", "0", "Runtime: process, health, reload errors, log"),
)
BINDINGS: Final = [
    *[
        Binding(key, f"pane('{name}')", words.partition(":")[0], show=False, id=f"pane.{name}")
        for name, key, words in PANES
    ],
    Binding("slash", "filter", "Filter", key_display="/", id="filter"),
    Binding("y", "copy", "Copy", id="copy"),
    Binding("p", "pause", "Pause", id="pause"),
    Binding("colon", "command_palette", "Palette", key_display=":", id="palette"),
    Binding("question_mark,f1", "help", "Help", key_display="?", id="help"),
    Binding("q", "leave", "Quit", id="quit"),
    Binding("w", "why", "Why may a user, or not", show=False, id="why"),
    Binding("o", "open", "Open in browser", show=False, id="open"),
    Binding("R", "reload", "Reload the app", show=False, id="reload"),
    Binding("ctrl+r", "restart", "Restart the runtime", show=False, id="restart"),
    Binding("n", "problem", "Next problem", show=False, id="problem"),
    Binding(
        "T",
        "warp",
        "Clock: jump to what is due, or through a week (development)",
        show=False,
        id="warp",
    ),
    Binding("M", "consent", "Apply the waiting migration", show=False, id="migrate"),
    Binding("escape", "back", "Back", show=False, id="back"),
    Binding("ctrl+q,ctrl+c", "leave", "Quit", show=False, priority=True, id="quit.now"),
]
#: What can be done to an account, in the list and on its own screen.
USER_BINDINGS: Final = [
    Binding("plus", "user('grant')", "Grant a role", show=False, key_display="+"),
    Binding("minus", "user('revoke_role')", "Take a role back", show=False, key_display="-"),
    Binding("d", "user('disable')", "Disable it, or enable it again", show=False),
    Binding("X", "user('revoke_all')", "End all its sessions and tokens", show=False),
    Binding("F", "user('reset_factor')", "Take its second factor away", show=False),
    Binding("e", "user('export')", "Export what it has to a file", show=False),
    Binding("D", "user('delete')", "Delete it", show=False),
    Binding("v", "user('ghost')", "Ghost: watch as it", show=False),
    Binding("s", "sign_in_as", "Sign in as it, in a browser (development)", show=False),
]
#: What can be done to jobs and queues, in the list; the first two also on a job's own screen.
JOB_BINDINGS: Final = [
    Binding("r", "job('retry')", "Retry it: dead, cancelled or scheduled", show=False),
    Binding("c", "job('cancel')", "Cancel it", show=False),
    Binding("P", "queue('hold')", "Pause its queue, or have it go on", show=False),
    Binding("A", "queue('retry_dead')", "Retry all dead jobs of its queue", show=False),
    Binding("s", "slots", "All schedules and their next slots", show=False),
]
#: What can be done to runs of workflows, in the list and on a run's own screen.
RUN_BINDINGS: Final = [
    Binding("s", "run('signal')", "Send it a signal", show=False),
    Binding("c", "run('cancel')", "Cancel it for good, with its children", show=False),
    Binding("r", "run('retry')", "Retry it: failed, diverged or between two tries", show=False),
    Binding(
        "e", "run('rerun')", "Rerun it, from the step under the cursor (development)", show=False
    ),
]
#: What can be done with rows.
DATA_BINDINGS: Final = [
    Binding("i", "row", "All about the row", show=False),
    Binding("s", "sort", "Sort by the column under the cursor, descending, not", show=False),
    Binding("c", "columns", "Choose columns", show=False),
    Binding("r", "referrers", "Rows that refer here", show=False),
    Binding("a", "write('create')", "A new row, in a form", show=False),
    Binding("A", "write('duplicate')", "A new row like this one", show=False),
    Binding("e", "write('edit')", "Edit the row", show=False),
    Binding("D", "write('delete')", "Delete the row", show=False),
    Binding("u", "undo", "Undo the last change that was made here", show=False),
    Binding("v", "look_as", "Look as a user, by his policies", show=False),
    Binding("W", "unlock", "Allow changes in production, or not any more", show=False),
    Binding("backspace", "return", "Back to where you came from", show=False),
    Binding("tab,shift+tab", "other_list", "Entities, or rows", show=False),
]
#: What can be done to files.
FILE_BINDINGS: Final = [
    Binding("s", "files('turn')", "Largest first, or newest first", show=False),
    Binding("d", "file('delete')", "Delete it, out of the fields that hold it", show=False),
    Binding("o", "file('open')", "Open it in a browser", show=False),
    Binding("S", "files('sweep')", "Sweep: remove what is to go", show=False),
    Binding("V", "files('verify')", "Verify: are all bytes there, and the same?", show=False),
]
#: What can be done with functions, in the list; the first also on a function's own screen.
FUNCTION_BINDINGS: Final = [
    Binding("t", "try", "Try it: a form, as any user", show=False),
    Binding("s", "order", "Order: name, calls/min, errors, p99", show=False),
]
#: On a screen above the panes: their keys lead back to them, and none of these is in the footer.
LEAVING: Final = [
    *[Binding(key, f"leave_for('{name}')", show=False) for name, key, _ in PANES],
    Binding("question_mark,f1", "app.help", "Help", key_display="?"),
    Binding("slash", "app.nothing", show=False),
    Binding("p", "app.pause", "Pause", show=False),
    Binding("colon", "app.command_palette", "Palette", show=False),
]
#: What can be done to a client on its own screen.
CLIENT_KEYS: Final = (
    ("d", "Disconnect it"), ("S", "Resync: it starts over from a snapshot"),
    ("N", "Network: late, lossy, offline, asleep (development)"),
    ("v", "Ghost: watch as its user"),
    ("w", "Why may its user see the change under the cursor, or not"),
)  # fmt: skip
_KEY_NAMES = {
    "slash": "/", "question_mark": "?", "colon": ":", "plus": "+", "minus": "-"
}  # fmt: skip


def key_name(binding: Binding) -> str:
    """Return a binding's keys as a person calls them."""
    return " ".join(_KEY_NAMES.get(key, key) for key in binding.key.split(","))


def help_text(place: str = "") -> str:
    """Return the help: first the keys of a place of its own, then screens, keys, lists."""
    lines = []
    sections = {
        "clients": _client_help(),
        "functions": _functions_help(),
        "data": _data_help(),
        "jobs": _jobs_help(),
        "mail": ["On Mail", "", "  v              Preview a template"],
        "users": _users_help(),
        "files": _files_help(),
        "workflows": _workflows_help(),
    }
    if place in ("data", "functions", "files", "jobs", "mail", "users", "workflows"):
        lines += [*sections.pop(place), ""]
    lines += ["Screens", ""]
    lines += [f"  {key:<10} {text}" for _, key, text in PANES]
    lines += ["", "Keys", ""]
    for one in (*BINDINGS, *(each for each in LineList.BINDINGS if isinstance(each, Binding))):
        if not one.action.startswith("pane"):
            lines.append(f"  {key_name(one):<14} {one.description}")
    for section in sections.values():
        lines += ["", *section]
    lines += ["", "The palette (: or ctrl+p) has every action. Mouse works, and is not needed."]
    return "\n".join(lines)


def _client_help() -> list[str]:
    head = ["On a client (enter on its line)", ""]
    return head + [f"  {key:<14} {text}" for key, text in CLIENT_KEYS]


def _users_help() -> list[str]:
    first = [
        ("enter", "all about it: sessions, tokens, what signs it in"),
        ("x", "there: end the session or token under the cursor"),
    ]  # fmt: skip
    last = [
        ("i", "Invite somebody"), ("w", "Why it may do something with a row, or not"),
        ("y", "Copy: address, id, command, JSON"),
        ("/", "Search: words, role:admin, state:disabled, !not"),
        ("", "(active, disabled, guest, invited, unproven)"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in USER_BINDINGS]
    return ["On Users", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]


def _functions_help() -> list[str]:
    first = [
        ("enter", "all about it: signature, who may call, last calls, slow ones with plans"),
        ("tab", "over to the last calls, and back; t tries the function of a call, too"),
    ]  # fmt: skip
    last = [
        ("f5", "On the form: run it (also enter in a line); esc cancels, then leaves"),
        ("y", "Copy: name, signature, command, last error; of a call: JSON, curl, command"),
        ("/", "Filter: words, kind:action, name: place: allow:, !not"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in FUNCTION_BINDINGS]
    return ["On Functions", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]


def _jobs_help() -> list[str]:
    first = [
        ("enter", "all about it: arguments, error, traceback; on a queue: its jobs"),
        ("tab", "over to the queues, and back"),
    ]  # fmt: skip
    last = [
        ("y", "Copy: id, command, error, traceback, JSON"),
        ("/", "Search: words, state:dead, queue:mail, name: key: user: cause:, !not"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in JOB_BINDINGS]
    return ["On Jobs", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]


def _workflows_help() -> list[str]:
    first = [
        ("enter", "all about it: timeline, waits, error; on a workflow: its runs"),
        ("tab", "over to the workflows, and back; on a run: to what stands below"),
    ]  # fmt: skip
    last = [
        ("enter", "on a run: all about the step, or over to the child under the cursor"),
        ("backspace", "there: back to where you came from"), ("u", "there: to its parent"),
        ("v", "there: the journal whole, with all values"),
        ("y", "Copy: id, command, key, error, traceback, JSON"),
        ("T", "Clock: to what is due next (pylon clock next)"),
        ("/", "Search: words, state:parked, name: key: user: cause:, !not"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in RUN_BINDINGS]
    return ["On Workflows", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]


def _data_help() -> list[str]:
    first = [
        ("enter", "on an entity: its rows; on a reference: the row it leads to; else: the row"),
        ("left right", "h l: the column under the cursor"),
        ("g G", "the first and the last row of all"),
    ]  # fmt: skip
    last = [
        ("w", "Why may a user read the row, or not"),
        ("y", "Copy: id, cell, row as JSON, as curl"),
        ("/", "Filter in the policy language: rank > 3 && startsWith(title, 'a')"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in DATA_BINDINGS]
    return ["On Data", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]


def _files_help() -> list[str]:
    first = [("enter", "all about it: rows that hold it, hash, widths that were made")]
    last = [
        ("y", "Copy: id, url, sha256, command, JSON"),
        ("/", "Search: words, user:ada, entity:doc, state:fresh, type:image, !not"),
    ]  # fmt: skip
    keys = [(key_name(one), one.description) for one in FILE_BINDINGS]
    return ["On Files", "", *(f"  {key:<14} {text}" for key, text in [*first, *keys, *last])]
