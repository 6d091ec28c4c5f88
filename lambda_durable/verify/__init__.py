"""The gate before a deploy: recorded runs, replayed on the code as it is now."""

from .files import read_files, save
from .gate import passes, verify_all
from .judging import verify
from .recording import Recording, read_recording
from .verdict import Change, Difference, Outcome, Verdict

__all__ = [
    "Change",
    "Difference",
    "Outcome",
    "Recording",
    "Verdict",
    "passes",
    "read_files",
    "read_recording",
    "save",
    "verify",
    "verify_all",
]
