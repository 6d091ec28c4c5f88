"""What the sign-up page and the sales team talk about."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Signup(BaseModel):
    user: str
    name: str
    email: str
    plan: Literal["free", "team", "enterprise"]
    teammates: list[str] = []


class Workspace(BaseModel):
    id: str
    project: str
    api_key_id: str


class Onboarded(BaseModel):
    """How it went."""

    user: str
    workspace: Workspace
    outcome: Literal["active", "won back", "team", "enterprise"]
    invited: list[str] = []
    bounced: list[str] = []
