"""The routes of identity in the OpenAPI document are those that there are."""

from __future__ import annotations

from pylon.server.http.openapi_auth import ROUTES, identity_paths
from pylon.server.http.table import make_router


def test_every_route_of_identity_is_described_and_none_else() -> None:
    """Redirects of providers apart, which no program calls."""
    routes = {
        (one.method, one.path)
        for one in make_router(is_dev=False).routes
        if one.path.startswith("/api/auth/") and "/oauth/" not in one.path
    }
    assert {(one[0], one[1]) for one in ROUTES} == routes
    described = identity_paths({})
    assert {
        (method.upper(), path) for path, all_of in described.items() for method in all_of
    } == routes
