"""Where commands keep how far they came, where `IMPORT_CHECKPOINTS` names no place: in the user's state folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from importer.settings import Settings


def with_state(settings: Settings) -> Settings:
    """The same settings, with a place for checkpoints.

    Each project of Mixpanel has its own: what the test project has is still to be imported into another.
    """
    if settings.checkpoints:
        return settings
    signed = settings.credentials
    project = f"{settings.api_url}\n{signed.project_id or signed.username}"
    folder = state_home() / "mixpanel-importer" / hashlib.sha256(project.encode()).hexdigest()[:16]
    return msgspec.structs.replace(settings, checkpoints=str(folder))


def state_home() -> Path:
    """The folder for the state of programs: https://specifications.freedesktop.org/basedir-spec/latest/"""
    given = os.environ.get("XDG_STATE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
