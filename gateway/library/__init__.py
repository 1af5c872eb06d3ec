"""The agents' folders: memory and skills, as they are on disk now.

`agents/{agentId}/memory.md` and then every `*.md` in `agents/{agentId}/memory/`, in the order of
their names; `agents/{agentId}/skills/*/SKILL.md`, of which the front matter gives name and
description, with further files beside it. Hidden files are no part of it.
"""

from gateway.library.confined import Refused
from gateway.library.shelf import NOTHING, FolderLibrary
from gateway.library.skills import SkillPage

__all__ = ["NOTHING", "FolderLibrary", "Refused", "SkillPage"]
