"""`lambda-durable check`: a static check of handlers. It reads code, and imports none of it."""

from .checking import Report, check
from .frames import Finding
from .rules import RULES, Rule

__all__ = ["RULES", "Finding", "Report", "Rule", "check"]
