"""The OpenAPI document has every route that a program calls."""

from __future__ import annotations

from pylon.server.http.openapi_auth import identity_paths
from pylon.server.http.openapi_files import file_paths
from pylon.server.http.openapi_sync import sync_paths
from pylon.server.http.table import make_router

#: Of these the document has one for each entity and function.
_OF_APPS = ("/api/entities/", "/api/query/", "/api/aggregate/", "/api/search/", "/api/fn/")


def test_what_is_not_described_is_no_json() -> None:
    """Sockets and streams apart, redirects of providers, webhooks, and what is the owner's."""
    described = {
        (method.upper(), path)
        for path, operations in (identity_paths({}) | sync_paths({}) | file_paths({})).items()
        for method in operations
    }
    routes = {
        (one.method, one.path)
        for one in make_router(is_dev=False).routes
        if one.path.startswith("/api/") and not one.path.startswith(("/api/admin/", *_OF_APPS))
    }
    assert {path for _, path in routes - described} == {
        "/api/sync/ws", "/api/sync/events",
        "/api/auth/oauth/{provider}/start", "/api/auth/oauth/{provider}/callback",
        "/api/webhooks/{name}",
    }  # fmt: skip
    assert described <= routes
