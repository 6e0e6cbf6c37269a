"""The whole route table, in production and in development (I73)."""

from __future__ import annotations

from collections import defaultdict

from pylon.server.http.table import make_router

#: What production serves. A new line here is a new way in: who reaches it, and by which policy?
SERVED = """
/_pylon/{tail...} GET
/api/admin/at GET
/api/admin/backup GET
/api/admin/branches GET POST
/api/admin/branches-diff GET
/api/admin/branches/{name}/drop POST
/api/admin/branches/{name}/switch POST
/api/admin/call POST
/api/admin/calls GET
/api/admin/clients GET
/api/admin/clients/{id} GET
/api/admin/clients/{id}/disconnect POST
/api/admin/clients/{id}/resync POST
/api/admin/data GET
/api/admin/data-bulk/{E} POST
/api/admin/data-export/{E} GET
/api/admin/data-undo POST
/api/admin/data/{E} GET POST
/api/admin/data/{E}/{id} GET
/api/admin/data/{E}/{id}/delete POST
/api/admin/data/{E}/{id}/restore POST
/api/admin/data/{E}/{id}/update POST
/api/admin/diff GET
/api/admin/explain POST
/api/admin/files GET
/api/admin/files-verify GET
/api/admin/files/sweep POST
/api/admin/files/{id} GET
/api/admin/files/{id}/delete POST
/api/admin/functions GET
/api/admin/functions/{name} GET
/api/admin/ghost/{user} GET
/api/admin/ghost/{user}/api/schema GET
/api/admin/ghost/{user}/api/sync/pull GET
/api/admin/ghost/{user}/api/sync/ws GET
/api/webhooks/{name} DELETE GET PATCH POST PUT
/api/admin/history/{E}/{id} GET
/api/admin/import POST
/api/admin/invite POST
/api/admin/jobs GET
/api/admin/jobs/retry POST
/api/admin/jobs/{id} GET
/api/admin/jobs/{id}/cancel POST
/api/admin/jobs/{id}/retry POST
/api/admin/live GET
/api/admin/lens/{E}/{id} GET
/api/admin/log GET
/api/admin/log-range GET
/api/admin/log-replay POST
/api/admin/log-stats GET
/api/admin/log-trim POST
/api/admin/log/{seq} GET
/api/admin/login-link POST
/api/admin/logs GET
/api/admin/mail GET
/api/admin/policies GET
/api/admin/query POST
/api/admin/queues/{queue}/pause POST
/api/admin/queues/{queue}/resume POST
/api/admin/reload POST
/api/admin/roles POST
/api/admin/schema GET
/api/admin/shutdown POST
/api/admin/sql POST
/api/admin/status GET
/api/admin/stream GET
/api/admin/token POST
/api/admin/users GET
/api/admin/users/{user} GET
/api/admin/users/{user}/delete POST
/api/admin/users/{user}/disable POST
/api/admin/users/{user}/enable POST
/api/admin/users/{user}/erase POST
/api/admin/users/{user}/export GET
/api/admin/users/{user}/reset-factor POST
/api/admin/users/{user}/revoke POST
/api/admin/workflows GET POST
/api/admin/workflows/{run} GET
/api/admin/workflows/{run}/cancel POST
/api/admin/workflows/{run}/retry POST
/api/admin/workflows/{run}/signal POST
/api/aggregate/{E} POST
/api/auth/account GET
/api/auth/export GET
/api/auth/guest POST
/api/auth/identities GET
/api/auth/identities/{provider} DELETE
/api/auth/link POST
/api/auth/logout POST
/api/auth/magic/send POST
/api/auth/magic/verify POST
/api/auth/me DELETE GET
/api/auth/oauth/{provider}/callback GET
/api/auth/oauth/{provider}/start GET
/api/auth/password/change POST
/api/auth/password/login POST
/api/auth/password/register POST
/api/auth/password/reset POST
/api/auth/providers GET
/api/auth/sessions DELETE GET
/api/auth/sessions/{id} DELETE
/api/auth/tokens POST
/api/auth/totp DELETE POST
/api/auth/totp/confirm POST
/api/auth/totp/verify POST
/api/entities/{E} GET POST
/api/entities/{E}/{id} DELETE GET PATCH
/api/files POST
/api/files/uploads/{id} DELETE GET PATCH
/api/files/{id} DELETE GET
/api/fn/{name} POST
/api/health GET
/api/openapi.json GET
/api/query/{E} POST
/api/schema GET
/api/search/{E} GET
/api/sync/events GET
/api/sync/pull GET
/api/sync/push POST
/api/sync/snapshot GET
/api/sync/ws GET
/auth GET
/auth/ GET
/auth/account GET
/auth/link GET
/api/admin/backups GET POST
/api/admin/backups/{name} GET
/api/admin/backups/{name}/drop POST
/api/admin/backups/{name}/restore POST
/api/admin/backups/{name}/send POST
/api/admin/backups/{name}/verify POST
/api/admin/health GET
/api/admin/doctor GET
/api/admin/settings GET
/metrics GET
"""
#: What development serves beyond that, and production must not.
DEVELOPMENT = """
/_pylon/dev/events GET
/api/admin/clients/{id}/network POST
/api/admin/clock GET POST
/api/admin/seed POST
/api/admin/mail/preview POST
/api/admin/mail/templates GET
/_pylon/dev/mail/{token} GET
/_pylon/dev/mail/{token}/data GET
/api/admin/refresh-pages POST
/api/admin/users/{user}/sign-in-as POST
/api/admin/workflows/{run}/rerun POST
/api/auth/dev/login POST
/api/explain/{E}/{id} GET
"""


def _described(*, is_dev: bool) -> set[str]:
    """Return a line per path, with its methods."""
    found = defaultdict(set)
    for one in make_router(is_dev=is_dev).routes:
        found[one.path].add(one.method)
    return {f"{path} {' '.join(sorted(methods))}" for path, methods in found.items()}


def test_production_serves_these_routes_and_no_other() -> None:
    """Each is written down here, so that none comes or goes unseen."""
    assert _described(is_dev=False) == set(SERVED.strip().splitlines())


def test_development_adds_these_and_takes_none_away() -> None:
    """The tables differ by the powers of development, and by nothing else (I73)."""
    both = set(SERVED.strip().splitlines()) | set(DEVELOPMENT.strip().splitlines())
    assert _described(is_dev=True) == both


def test_no_route_is_there_twice() -> None:
    """Of two lines with one method and path, the later would win unseen."""
    lines = [(one.method, one.path) for one in make_router(is_dev=True).routes]
    assert len(lines) == len(set(lines))
