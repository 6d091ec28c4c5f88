"""What the routes stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

from ..client import Client
from ..doctor.examination import Patient
from ..ports import World


@dataclass(frozen=True, slots=True)
class Backend:
    """A client of the app, and all that can be looked at of it."""

    client: Client
    patient: Patient

    @property
    def world(self) -> World:
        return self.patient.world


Resolver = LambdaFunctionUrlResolver

Routes = Callable[[Resolver, Backend], Any]
"""Adds the routes of one noun."""
