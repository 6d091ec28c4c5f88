"""The dashboard: pages over the HTTP API, served on loopback to the one person who has its token."""

from .server import Dashboard

__all__ = ["Dashboard"]
