"""How `lambda-durable --help` groups the commands: by what a person is about to do."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

PANELS: Final = {
    "To begin, and try": ("init", "run", "dev", "skip"),
    "To send and answer": ("send", "signal", "callback"),
    "To look": ("dashboard", "runs", "show", "events", "queues", "doctor"),
    "To put right": ("rerun", "replay", "cancel", "pause", "resume"),
    "Before a deploy": ("check", "verify", "export", "cost", "template"),
}


class Panels(TyperGroup):
    """The commands, in the order of their panels."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        ordered = {name: self.commands[name] for names in PANELS.values() for name in names}
        self.commands = {**ordered, **self.commands}
        for panel, names in PANELS.items():
            for name in names:
                command = ordered[name]
                assert isinstance(command, (TyperCommand, TyperGroup))
                command.rich_help_panel = panel
