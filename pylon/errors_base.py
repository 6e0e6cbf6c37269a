"""The root of the error tree: what every error has, and how it travels."""

from __future__ import annotations

from typing import Any, ClassVar

from pylon.printable import without_controls


class PylonError(Exception):
    """Something went wrong."""

    code: str = "INTERNAL"
    http_status: ClassVar[int] = 500
    ws_close_code: ClassVar[int | None] = None
    #: True where the same operation id may be sent again and may then succeed (I31, I44).
    is_transient: ClassVar[bool] = False
    #: What a policy was asked, for who may be told why (development); it never travels itself.
    denial: object | None = None

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, **details: Any
    ) -> None:
        self.message = message if message is not None else (type(self).__doc__ or "").strip()
        self.hint = hint
        self.details: dict[str, Any] = details
        super().__init__(self.message)

    @property
    def is_stop(self) -> bool:
        """Tell whether it is only because the runtime stops: the next one can do it."""
        return self.is_transient and self.details.get("reason") == "stopping"

    def to_wire(self) -> dict[str, Any]:
        """Return the documented error object: code, message, and hint and details where present.

        Control characters, which only a request can have brought, become marks.
        """
        wire: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint is not None:
            wire["hint"] = self.hint
        if self.details:
            wire["details"] = self.details
        cleaned: dict[str, Any] = without_controls(wire)
        return cleaned
