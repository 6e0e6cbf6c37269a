"""What the Users screen shows: lines of accounts, sessions and tokens, and the facts of one."""

from __future__ import annotations

import shlex
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from pylon.printable import clean
from pylon.tui.columns import Column, data_line, head_line

Line = list[tuple[str, str]]

#: Each state with its sign: it is told without colour, too.
STATES: Final = {
    "active": ("● active", "good"), "disabled": ("✗ disabled", "bad"),
    "guest": ("◌ guest", "quiet"), "unproven": ("? unproven", "warn"),
    "invited": ("✉ invited", "accent"),
}  # fmt: skip
USERS: Final = (
    Column("STATE", 10), Column("E-MAIL", 24), Column("SESSIONS", 8, 66, right=True),
    Column("TOKENS", 6, 120, right=True), Column("CREATED", 16, 110),
    Column("LAST SEEN", 16, 76), Column("ROLES", 12),
)  # fmt: skip
WIDE_USERS: Final = (
    Column("STATE", 10), Column("E-MAIL", 48), Column("SESSIONS", 8, right=True),
    Column("TOKENS", 6, right=True), Column("CREATED", 16), Column("LAST SEEN", 16),
    Column("ID", 36), Column("ROLES", 32),
)  # fmt: skip
SESSIONS: Final = (
    Column("KIND", 9), Column("LAST SEEN", 16), Column("EXPIRES", 10, 66),
    Column("CREATED", 16, 110), Column("SCOPE", 24, 150, most=40), Column("DEVICE OR NAME", 30),
)  # fmt: skip
_WIDE = 190
#: What stands in a browser's name for itself, the telling ones first: most say Chrome and Safari.
_BROWSERS: Final = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"), ("FxiOS/", "Firefox"), ("Version/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS: Final = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip
#: The columns that a search line can name: the runtime looks it up, so none that only passes.
SEARCHED: Final = (
    "state", "e-mail", "sessions", "tokens", "created", "roles", "id", "role",
)  # fmt: skip


def date_time(text: Any) -> str:
    """Return date and time of an ISO text, to the minute; `-` for none."""
    return f"{text[:10]} {text[11:16]}" if isinstance(text, str) and len(text) > 15 else "-"


def label_of(user: dict[str, Any]) -> str:
    """Return what an account is called: its address, else its id."""
    return str(user.get("email") or id_of(user))


def id_of(user: dict[str, Any]) -> str:
    """Return the id of an account, from the list or from its page."""
    return str(user["id"] if "id" in user else user["user_id"])


def user_line(user: dict[str, Any], width: int) -> Line:
    """Return the line of an account."""
    seen = user["last_seen"]
    state = STATES.get(user["state"], (user["state"], "plain"))
    email = (label_of(user), "strong" if user["email"] else "quiet")
    roles = (", ".join(user["roles"]) or "-", "plain" if user["roles"] else "quiet")
    counts = [(user[name], "plain" if user[name] else "quiet") for name in ("sessions", "tokens")]
    created = (date_time(user["created_at"]), "quiet")
    last = (date_time(seen), "plain" if seen else "quiet")
    if width >= _WIDE:
        cells = [state, email, *counts, created, last, (user["id"], "quiet"), roles]
        return data_line(WIDE_USERS, cells, width)
    return data_line(USERS, [state, email, *counts, created, last, roles], width)


def users_head(width: int) -> Line:
    """Return the heads of accounts."""
    return head_line(WIDE_USERS if width >= _WIDE else USERS, width)


def session_line(session: dict[str, Any], width: int) -> Line:
    """Return the line of a session or token."""
    is_token = session["kind"] == "token"
    what = session["name"] if is_token else device_words(session["device"])
    return data_line(
        SESSIONS,
        (
            ("⚿ token", "accent") if is_token else ("● session", "good"),
            (date_time(session["last_seen"]), "plain" if session["last_seen"] else "quiet"),
            (date_time(session["expires_at"])[:10], "quiet"),
            (date_time(session["created_at"]), "quiet"), (scope_words(session["scope"]), "warn"),
            (what or ("no name" if is_token else "no device told"), "plain" if what else "quiet"),
        ),
        width,
    )  # fmt: skip


def sessions_head(width: int) -> Line:
    """Return the heads of sessions."""
    return head_line(SESSIONS, width)


def scope_words(scope: dict[str, Any] | None) -> str:
    """Return what a token may do; empty for all that its user may."""
    if scope is None:
        return ""
    words = ["reads only"] if scope.get("read_only") else []
    words += [
        f"{name}: {', '.join(map(str, scope[name])) or 'none'}"
        for name in ("entities", "functions")
        if scope.get(name) is not None
    ]
    return " · ".join(words)


def device_words(device: str | None) -> str:
    """Return browser and system of what a browser calls itself; all of it where neither is known.

    It is what the browser says, and anybody can say anything: it helps to recognise one's own.
    """
    text = device or ""
    browser = next(
        (f"{name} {text.partition(sign)[2].partition('.')[0][:4]}" for sign, name in _BROWSERS
         if sign in text), "",
    )  # fmt: skip
    system = next((name for sign, name in _SYSTEMS if sign in text), "")
    known = " · ".join(one.strip() for one in (browser, system) if one)
    return known if browser else text


def session_words(session: dict[str, Any]) -> str:
    """Return all about a session or token, a fact in each line."""
    facts = (
        ("id", session["id"]), ("kind", session["kind"]), ("name", session["name"]),
        ("device", session["device"]), ("created", session["created_at"]),
        ("last seen", session["last_seen"] or "not yet"), ("expires", session["expires_at"]),
        ("may", scope_words(session["scope"]) or "all that its user may"),
    )  # fmt: skip
    return "\n".join(f"{name:<10} {clean(value)}" for name, value in facts if value is not None)


def facts_of(found: dict[str, Any], width: int) -> list[str]:
    """Return what an account is, one line each and none longer than `width`."""
    state = STATES.get(found["state"], (found["state"], ""))[0]
    ways = ["codes"] if found["email"] else []
    ways += ["password"] if found["password"] else []
    ways += [_issuer(one) for one in found["identities"]]
    factor = "no second factor"
    if found["totp"]:
        factor = f"second factor on · {found['recovery_left']} recovery codes left"
    count = found.get("connections", 0)
    lines = (
        ("user", found["email"] or "a guest, without an address"), ("id", id_of(found)),
        ("state", f"{state} · {'connected' if count else 'not connected'}"
                  + (f" {count} ×" if count > 1 else "")),
        ("roles", ", ".join(found["roles"]) or "none"),
        ("since", date_time(found["created_at"])),
        ("signs in", ", ".join(ways) or "nothing but its session"),
        ("factor", factor),
    )  # fmt: skip
    return [_cut(f" {name:<8} {clean(value)}", width) for name, value in lines]


def _issuer(one: dict[str, Any]) -> str:
    email = f" ({one['email']})" if one.get("email") else ""
    return f"{one['issuer']}{email}"


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"


def command(verb: str, user: dict[str, Any], *more: str) -> str:
    """Return what does the same in a shell."""
    words = [*verb.split(), label_of(user), *more]
    return "pylon " + " ".join(shlex.quote(one) for one in words)
