"""The gate before a deploy: recorded runs, replayed on the code as it is now."""

from .judging import verify
from .recording import Recording, read_recording
from .verdict import Change, Difference, Outcome, Verdict

__all__ = ["Change", "Difference", "Outcome", "Recording", "Verdict", "read_recording", "verify"]
