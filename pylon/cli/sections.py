"""The headings of `pylon --help`: which commands are for what, in the order of a project's life."""

from __future__ import annotations

from typing import Final

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "Make and run": (
        "new", "dev", "serve", "status", "open", "studio", "projects", "attach", "desktop",
    ),
    "Write the app": ("check", "test", "simulate", "reload", "codegen", "seed", "reset"),
    "Rows, files and calls": (
        "rows", "query", "sql", "import", "export", "call", "functions", "files",
    ),
    "Work in the background": ("jobs", "workflows", "mail", "clock"),
    "Who may do what": ("policies", "explain", "users", "roles", "token", "login-link"),
    "What happens, and what happened": (
        "tail", "clients", "cursors", "ghost", "lens", "log", "history", "diff", "restore-row",
    ),
    "Schema and branches": ("schema", "migrate", "branch"),
    "Keep it and keep it well": (
        "backups", "backup", "restore", "verify", "health", "doctor", "alerts", "bug",
    ),
    "This program": ("settings", "keys", "completion", "admin-door"),
}  # fmt: skip
