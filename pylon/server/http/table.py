"""The routes of a runtime, in one list; development has a few more (I73)."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from pylon.errors import Unavailable
from pylon.server.http import (
    account,
    admin,
    admin_backups,
    admin_branches,
    admin_bulk,
    admin_clients,
    admin_clock,
    admin_data,
    admin_doctor,
    admin_explain,
    admin_files,
    admin_functions,
    admin_ghost,
    admin_health,
    admin_import,
    admin_jobs,
    admin_lens,
    admin_past,
    admin_policies,
    admin_schema,
    admin_seed,
    admin_settings,
    admin_sql,
    admin_users,
    admin_workflows,
    auth,
    auth_pages,
    credentials,
    events,
    files,
    functions,
    mail_preview,
    metrics,
    oauth,
    openapi,
    own_data,
    pull,
    questions,
    rows,
    static,
    stream,
    sync,
    upkeep,
    uploads,
    webhooks,
)  # fmt: skip
from pylon.server.http.admin import demand_owner, status_of
from pylon.server.http.exchange import Exchange, flag, json_value
from pylon.server.http.routes import Handler, Route, Router


async def health(exchange: Exchange) -> web.StreamResponse:
    """GET /api/health; `?full=1` for the owner adds versions, modes and sizes."""
    services = exchange.services
    definition, database = services.definitions.current, services.database
    # Why in detail is the owner's business (I76).
    status = "stopping" if services.is_stopping else database.writer.health.partition(":")[0]
    answer: dict[str, Any] = {
        "status": status,
        "app": definition.name,
        "version": definition.version,
        "head": str(database.cursor()),
        "schema": definition.hash,
    }
    if flag(exchange.query().get("full")):
        demand_owner(exchange)
        answer = {**status_of(services), **answer}
    if status == "ok":
        return json_value(answer)
    unwell = Unavailable("the runtime does not take writes at the moment", reason=status)
    return json_value({**answer, "error": unwell.to_wire()}, unwell.http_status)


Line = tuple[str, str, Handler]

#: What anybody reaches; the policies say what he gets.
_OPEN: Final[tuple[Line, ...]] = (
    ("GET", "/api/health", health),
    ("GET", "/api/schema", openapi.schema),
    ("GET", "/api/openapi.json", openapi.openapi),
    ("GET", "/api/entities/{E}", rows.list_rows),
    ("POST", "/api/entities/{E}", rows.insert_row),
    ("GET", "/api/entities/{E}/{id}", rows.get_row),
    ("PATCH", "/api/entities/{E}/{id}", rows.patch_row),
    ("DELETE", "/api/entities/{E}/{id}", rows.delete_row),
    ("POST", "/api/query/{E}", rows.query_rows),
    ("POST", "/api/aggregate/{E}", questions.aggregate),
    ("GET", "/api/search/{E}", questions.search),
    ("POST", "/api/fn/{name}", functions.call_function),
    ("POST", "/api/files", files.upload),
    ("GET", "/api/files/{id}", files.download),
    ("DELETE", "/api/files/{id}", files.delete),
    ("GET", "/api/files/uploads/{id}", uploads.show),
    ("PATCH", "/api/files/uploads/{id}", uploads.go_on),
    ("DELETE", "/api/files/uploads/{id}", uploads.drop),
    *((method, "/api/webhooks/{name}", webhooks.receive) for method in webhooks.METHODS),
    ("GET", "/api/sync/ws", sync.sync_socket),
    ("GET", "/api/sync/pull", pull.pull),
    ("POST", "/api/sync/push", pull.push),
    ("GET", "/api/sync/snapshot", pull.snapshot),
    ("GET", "/api/sync/events", events.events),
    ("GET", "/auth", auth_pages.sign_in_page),
    ("GET", "/auth/", auth_pages.sign_in_page),
    ("GET", "/auth/link", auth_pages.link_page),
    ("GET", "/auth/account", auth_pages.account_page),
    ("GET", "/_pylon/{tail...}", static.client_file),
)
#: Signing in and one's own account: each has a rate of its own.
_AUTH: Final[tuple[Line, ...]] = (
    ("POST", "/api/auth/magic/send", auth.magic_send),
    ("POST", "/api/auth/magic/verify", auth.magic_verify),
    ("GET", "/api/auth/me", account.me),
    ("POST", "/api/auth/logout", account.logout),
    ("GET", "/api/auth/sessions", account.sessions),
    ("DELETE", "/api/auth/sessions", account.end_other_sessions),
    ("DELETE", "/api/auth/sessions/{id}", account.end_session),
    ("POST", "/api/auth/tokens", account.make_token),
    ("DELETE", "/api/auth/me", own_data.delete_me),
    ("GET", "/api/auth/account", credentials.summary),
    ("GET", "/api/auth/export", own_data.export),
    ("POST", "/api/auth/password/register", credentials.register),
    ("POST", "/api/auth/password/login", credentials.login),
    ("POST", "/api/auth/password/reset", credentials.reset),
    ("POST", "/api/auth/password/change", credentials.change),
    ("POST", "/api/auth/totp", credentials.enrol),
    ("DELETE", "/api/auth/totp", credentials.remove),
    ("POST", "/api/auth/totp/confirm", credentials.confirm),
    ("POST", "/api/auth/totp/verify", credentials.verify),
    ("POST", "/api/auth/guest", credentials.guest),
    ("GET", "/api/auth/providers", oauth.providers),
    ("GET", "/api/auth/oauth/{provider}/start", oauth.start),
    ("GET", "/api/auth/oauth/{provider}/callback", oauth.callback),
    ("GET", "/api/auth/identities", oauth.identities),
    ("DELETE", "/api/auth/identities/{provider}", oauth.unlink),
    ("POST", "/api/auth/link", auth.use_link),
)
#: The owner's.
_ADMIN: Final[tuple[Line, ...]] = (
    ("GET", "/api/admin/status", admin.status),
    ("GET", "/api/admin/health", admin_health.health),
    ("GET", "/api/admin/log", admin.log),
    ("GET", "/api/admin/log-stats", upkeep.log_stats),
    ("POST", "/api/admin/log-trim", upkeep.log_trim),
    ("GET", "/api/admin/backup", upkeep.backup),
    ("GET", "/api/admin/log/{seq}", admin.log_entry),
    ("GET", "/api/admin/clients", admin_clients.clients),
    ("GET", "/api/admin/clients/{id}", admin_clients.client),
    ("POST", "/api/admin/clients/{id}/disconnect", admin_clients.disconnect),
    ("POST", "/api/admin/clients/{id}/resync", admin_clients.resync),
    ("GET", "/api/admin/ghost/{user}", admin_ghost.about),
    ("GET", "/api/admin/ghost/{user}/api/schema", admin_ghost.schema),
    ("GET", "/api/admin/ghost/{user}/api/sync/pull", admin_ghost.pull),
    ("GET", "/api/admin/ghost/{user}/api/sync/ws", admin_ghost.socket),
    ("GET", "/api/admin/policies", admin_policies.policies),
    ("GET", "/api/admin/mail", admin.mail),
    ("GET", "/api/admin/logs", admin.logs),
    ("GET", "/api/admin/users", admin_users.users),
    ("GET", "/api/admin/users/{user}", admin_users.user),
    ("GET", "/api/admin/users/{user}/export", admin_users.export),
    ("POST", "/api/admin/users/{user}/disable", admin_users.disable),
    ("POST", "/api/admin/users/{user}/enable", admin_users.enable),
    ("POST", "/api/admin/users/{user}/revoke", admin_users.revoke),
    ("POST", "/api/admin/users/{user}/reset-factor", admin_users.reset_factor),
    ("POST", "/api/admin/users/{user}/delete", admin_users.delete),
    ("POST", "/api/admin/users/{user}/erase", admin_users.erase),
    ("POST", "/api/admin/invite", admin_users.invite),
    ("GET", "/api/admin/stream", stream.stream),
    ("POST", "/api/admin/reload", admin.reload),
    ("POST", "/api/admin/shutdown", admin.shutdown),
    ("POST", "/api/admin/token", admin.token),
    ("POST", "/api/admin/roles", admin.roles),
    ("POST", "/api/admin/login-link", admin.login_link),
    ("POST", "/api/admin/call", functions.call_as),
    ("POST", "/api/admin/query", admin.query),
    ("POST", "/api/admin/explain", admin_explain.explain),
    *admin_backups.ROUTES,
    *admin_bulk.ROUTES,
    *admin_doctor.ROUTES,
    *admin_settings.ROUTES,
    *admin_branches.ROUTES,
    *admin_data.ROUTES,
    *admin_schema.ROUTES,
    *admin_sql.ROUTES,
    *admin_files.ROUTES,
    *admin_jobs.ROUTES,
    *admin_lens.ROUTES,
    *admin_past.ROUTES,
    *admin_workflows.ROUTES,
    *admin_functions.ROUTES,
    *admin_import.ROUTES,
    ("GET", "/metrics", metrics.metrics),
)
#: In development only, for anybody and for the owner.
_DEV: Final[tuple[Line, ...]] = (
    ("POST", "/api/auth/dev/login", auth.dev_login),
    ("GET", "/_pylon/dev/events", static.dev_events),
    *mail_preview.PAGES,
    ("GET", "/api/explain/{E}/{id}", admin_explain.explain_in_dev),
)
_ADMIN_DEV: Final[tuple[Line, ...]] = (
    ("POST", "/api/admin/users/{user}/sign-in-as", admin_users.sign_in_as),
    ("POST", "/api/admin/refresh-pages", admin.refresh_pages),
    *admin_clock.ROUTES,
    *admin_seed.ROUTES,
    *mail_preview.ROUTES,
    ("POST", "/api/admin/clients/{id}/network", admin_clients.network),
    *admin_workflows.DEV_ROUTES,
)


def make_router(*, is_dev: bool) -> Router:
    """Return the router of a runtime."""
    routes = [Route(*line) for line in (*_OPEN, *(_DEV if is_dev else ()))]
    routes += [Route(method, path, auth.limited(handler)) for method, path, handler in _AUTH]
    guarded = (*_ADMIN, *(_ADMIN_DEV if is_dev else ()))
    routes += [Route(method, path, admin.admin(handler)) for method, path, handler in guarded]
    return Router(routes, static.app_file)
