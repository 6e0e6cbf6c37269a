"""A request to a runtime as a line of curl that runs as it is, for whoever owns the runtime.

On the runtime's machine it goes through the owner's socket; elsewhere it takes the admin token from
its variable, so that no secret is copied.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pylon import jsonvalue

#: Has the admin token of a runtime elsewhere; where it is empty curl says what is missing.
_TOKEN = '-H "Authorization: Bearer ${PYLON_ADMIN_TOKEN:?is the token of that runtime}"'  # noqa: S105 -- its name


def curl_line(
    base: str, path: str, body: Any = None, *, socket_path: Path | None = None,
    token_path: Path | None = None, **params: str | None,
) -> str:  # fmt: skip
    """Return the line for /api/PATH.

    Args:
        base: where the runtime listens.
        path: below `/api/`, quoted.
        body: what is posted as JSON; None asks by GET.
        socket_path: the owner's socket; None: there is none.
        token_path: the file of the owner's token, where the machine has no such sockets.
        **params: of the question; None is left out.
    """
    words = ["curl", "-sS"]
    given = {name: value for name, value in params.items() if value is not None}
    url = f"{'http://localhost' if socket_path else base}/api/{path}"
    if socket_path is not None:
        words += ["--unix-socket", shlex.quote(str(socket_path))]
    elif token_path is not None:
        words.append(f'-H "Authorization: Bearer $(cat {shlex.quote(str(token_path))})"')
    else:
        words.append(_TOKEN)
    if body is not None:
        words += ["-H", "'Content-Type: application/json'"]
        words += ["-d", shlex.quote(jsonvalue.encode_text(body))]
    return " ".join([*words, shlex.quote(f"{url}?{urlencode(given)}" if given else url)])
