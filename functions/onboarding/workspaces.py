"""Where a customer's work lies. In production: calls of our own API, which awaits its answers."""

from __future__ import annotations

import logging

from references import reference

from lambda_durable import current_step

logger = logging.getLogger(__name__)


class StillStarting(Exception):
    """A new workspace takes a moment until it can be used."""


async def create(user: str) -> str:
    logger.info("a workspace for %s", user)
    return reference("ws")


async def add_sample_project(workspace: str) -> str:
    if current_step().attempt == 1:
        raise StillStarting(f"workspace {workspace} is not ready yet")
    return reference("project")


async def create_api_key(workspace: str) -> str:
    """Returns the key's id. The key itself is shown once, in the browser, and is no step's result."""
    logger.info("an API key of workspace %s", workspace)
    return reference("key")
