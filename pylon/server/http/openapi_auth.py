"""The routes of identity in the OpenAPI document: the same for every app."""

from __future__ import annotations

import re
from typing import Any, Final

_NAMED: Final = re.compile(r"\{(\w+)\}")
_TEXT: Final = {"type": "string"}
_SIGNED_IN: Final = ("token", "user_id", "expires_at")
_PROOF: Final = ("current", "code", "totp")

#: method, path, what it does, required members of the body, optional ones, members of the answer
#: (none: 204).
Line = tuple[str, str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
ROUTES: Final[tuple[Line, ...]] = (
    ("POST", "/api/auth/magic/send", "Mail a code", ("email",), (), ("sent",)),
    ("POST", "/api/auth/magic/verify", "Sign in with a code", ("email", "code"), ("totp",),
     _SIGNED_IN),
    ("POST", "/api/auth/link", "Sign in with a one-time link", ("t",), ("email", "totp"),
     _SIGNED_IN),
    ("POST", "/api/auth/password/register", "Make an account with a password",
     ("email", "password"), (), _SIGNED_IN),
    ("POST", "/api/auth/password/login", "Sign in with a password", ("email", "password"),
     ("totp",), _SIGNED_IN),
    ("POST", "/api/auth/password/reset", "Set a password by a code",
     ("email", "code", "password"), ("totp",), _SIGNED_IN),
    ("POST", "/api/auth/password/change", "Change the password", ("password",), _PROOF, ()),
    ("POST", "/api/auth/totp", "Begin a second factor", (), _PROOF, ("secret", "url")),
    ("POST", "/api/auth/totp/confirm", "Show the first code", ("totp",), (), ("recovery",)),
    ("POST", "/api/auth/totp/verify", "Finish a sign-in by a provider", ("totp",), (), _SIGNED_IN),
    ("DELETE", "/api/auth/totp", "Remove the second factor", (), _PROOF, ()),
    ("POST", "/api/auth/guest", "Become a guest", (), (), _SIGNED_IN),
    ("GET", "/api/auth/me", "Who am I", (), (), ("user_id", "email", "roles")),
    ("DELETE", "/api/auth/me", "Delete the own account", (), _PROOF, ()),
    ("GET", "/api/auth/account", "The own account", (), (), ("user_id", "email", "roles")),
    ("GET", "/api/auth/export", "All that is one's own", (), (), ("account", "sessions", "rows")),
    ("POST", "/api/auth/logout", "Sign out", (), (), ()),
    ("GET", "/api/auth/sessions", "Sessions and tokens", (), (), ("sessions",)),
    ("DELETE", "/api/auth/sessions", "End all others", (), (), ("ended",)),
    ("DELETE", "/api/auth/sessions/{id}", "End one", (), (), ()),
    ("POST", "/api/auth/tokens", "Make an API token", (), ("name", "days", "scope"),
     ("token", "id", "user_id", "email", "expires_at")),
    ("GET", "/api/auth/providers", "How people sign in here", (), (),
     ("methods", "oauth", "dev_login")),
    ("GET", "/api/auth/identities", "Providers that sign the caller in", (), (), ("identities",)),
    ("DELETE", "/api/auth/identities/{provider}", "Unlink a provider", (), (), ()),
)  # fmt: skip
#: Members that are no text.
_LIST: Final = {"type": "array"}
_OBJECT: Final = {"type": "object"}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "sent": {"type": "boolean"}, "ended": {"type": "integer"}, "days": {"type": "number"},
    "expires_at": {"type": "string", "format": "date-time"}, "email": {"type": ["string", "null"]},
    "scope": _OBJECT, "account": _OBJECT, "rows": _OBJECT, "roles": _LIST, "sessions": _LIST,
    "recovery": _LIST, "methods": _LIST, "oauth": _LIST,
    "identities": _LIST, "dev_login": {"type": "boolean"},
}  # fmt: skip
_CREATED: Final = frozenset({"/api/auth/tokens", "/api/auth/totp"})


def identity_paths(error: dict[str, Any]) -> dict[str, Any]:
    """Return the `paths` of identity; `error` is what every failed call answers."""
    paths: dict[str, Any] = {}
    for method, path, summary, required, optional, answer in ROUTES:
        operation: dict[str, Any] = {"summary": summary, "responses": {"default": error}}
        named = _NAMED.findall(path)
        if named:
            operation["parameters"] = [
                {"name": one, "in": "path", "required": True, "schema": _TEXT} for one in named
            ]
        if required or optional:
            schema = {"type": "object", "properties": _properties((*required, *optional))}
            if required:
                schema["required"] = list(required)
            operation["requestBody"] = {
                "required": bool(required), "content": {"application/json": {"schema": schema}}
            }  # fmt: skip
        if answer:
            status = "201" if method == "POST" and path in _CREATED else "200"
            shape = {"type": "object", "required": list(answer), "properties": _properties(answer)}
            operation["responses"][status] = {
                "description": summary, "content": {"application/json": {"schema": shape}}
            }  # fmt: skip
        else:
            operation["responses"]["204"] = {"description": summary}
        paths.setdefault(path, {})[method.lower()] = operation
    return paths


def _properties(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _KINDS.get(name, _TEXT) for name in names}
