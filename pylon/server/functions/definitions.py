"""The one reference to the app's current definition; a reload swaps it and nothing else."""

from __future__ import annotations

from pylon.app.definition import AppDefinition


class DefinitionHolder:
    """Holds the definition that new calls take; a call keeps the one that it started with."""

    def __init__(self, definition: AppDefinition) -> None:
        self.current = definition
        #: What was saved and waits, because its migration was refused; None where nothing does.
        self.waiting: AppDefinition | None = None
