"""Whose a state folder is: it belongs to one fleet, and is divided between two users.

See `layout` for the two halves.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from pgherd import __version__
from pgherd.engines.local import lowered
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import read_databases, write_database
from pgherd.errors import InputError, NeedsHuman
from pgherd.files import Owner, ensure_directory, require_trusted, write

LAYOUT = 4
"""How the state folder is divided, and what its poolers serve. Nothing converts another into it."""


class Claim:
    """The claim of one fleet to one state folder; `owner` is the data plane's user."""

    def __init__(self, fleet: str, layout: Layout, owner: Owner) -> None:
        self._fleet = fleet
        self._layout = layout
        self._owner = owner

    def ensure(self) -> None:
        """The state folder is this fleet's; InputError or NeedsHuman where it is another's."""
        layout, owner = self._layout, self._owner
        require_trusted(layout.root)
        ensure_directory(layout.root, owner)
        require_trusted(layout.root)  # it may be another user's who was quicker to make it
        self._keep_others_out()
        for folder in layout.data_plane:
            self._ensure_given(folder)
        if owner.is_another and not lowered.may_enter(owner, layout.root):
            raise NeedsHuman(
                f"user {owner.name} may not enter {layout.root}",
                "let it pass through the folders above: `chmod o+x` on each of them",
            )
        claim = {"fleet": self._fleet, "layout": LAYOUT, "root": str(layout.root)}
        known = self._read()
        if known and known.get("root") != claim["root"]:
            self._forget_what_ran()
        if known is None or any(known.get(key) != value for key, value in claim.items()):
            text = json.dumps({**claim, "version": __version__}) + "\n"
            write(layout.fleet, text, owner, durable=True)

    def require(self) -> None:
        """The state folder is nobody else's; the same errors where it is."""
        self._read()

    def _read(self) -> dict[str, Any] | None:
        layout = self._layout
        require_trusted(layout.fleet)
        try:
            claim: dict[str, Any] = json.loads(layout.fleet.read_text())
            fleet, made_for = claim["fleet"], claim.get("layout")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise InputError(
                f"state folder {layout.root} belongs to another user",
                "run pgherd as the user whose fleet it is, or set PGHERD_STATE to another folder",
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NeedsHuman(f"{layout.fleet} is damaged", "restore it from a backup") from None
        if fleet != self._fleet:
            raise InputError(
                f"state folder {layout.root} belongs to fleet {fleet!r}",
                "set PGHERD_STATE to another folder",
            )
        if made_for != LAYOUT:
            raise NeedsHuman(
                f"state folder {layout.root} was made by another version of pgherd",
                "save the data with that version, then remove the folder and run `pgherd up`",
            )
        return claim

    def _keep_others_out(self) -> None:
        """Whoever may open the folder may hold the lock that the fleet's agents exclude with."""
        root, owner = self._layout.root, self._owner
        if root.stat().st_uid == os.geteuid():
            if owner.is_another:
                os.chown(root, -1, owner.gid)
            root.chmod(0o750 if owner.is_another else 0o700)

    def _ensure_given(self, folder: Path) -> None:
        """It is the data plane's own; NeedsHuman where it is another user's."""
        found = self._owner.give(folder).lstat()
        if found.st_uid != self._owner.uid:
            raise NeedsHuman(
                f"{folder} belongs to user {found.st_uid}, databases run as {self._owner.name}",
                f"after a copy from another machine: `chown -R -P {self._owner.name}: {folder}`",
            )

    def _forget_what_ran(self) -> None:
        """After a move nothing is wanted to run: configuration names the old place until `up`."""
        for manifest in read_databases(self._layout):
            write_database(self._layout, replace(manifest, running=False), self._owner)
