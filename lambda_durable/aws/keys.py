"""Where things lie in the table.

Everything of a run's top level is in the partition named by the run's id, every other scope in a partition
of its own:

    <run id>           !             the header
                       !a            the newest failure of the handler's code
                       !t/000001     the log
                       .charge       the record at `charge`
    <run id>/m         !p            which pools of the fan-out `m` are done
                       !p/0          the lanes of its first pool
                       .[2]          the record at `m[2]`
    <run id>/:2        .charge       the record at `charge` in its second journal after the first (journal_ids.py)
    <run id>/:2/m      .[2]          and the one at `m[2]`
    e#<event id>       !             an event
    w#..., s#...                     who waits for an event, and for a signal (waiters.py)
    d#..., m#...                 events that are collected for one run (collector_store.py)
    l#<shard>#<function>#<label>    the runs of a function with a label, by time (labels.py)
    k#<name>       !             what is kept for good under a name; under `pauses`, those of functions
    k#functions    .checkout     what there is to know of a function (catalogue_store.py)
    z#<shard>#<function>         what is kept while a function is paused, and of a run that is (pause_store.py)
    <run id>/:held
    <run id>/:feed     0000000000041 what the run publishes (feed_store.py)

Log entries sort before records, so a Query that reads an entry goes on to read the outcomes it names: they
were there before it. Ids hold any character: `%`, `/` and `#` are escaped in a run's id, and the records'
dot keeps a step called `!` away from the header. Keys that are too long end in a digest, in a place where
no other key has what comes before it; the item then names its id or path in `u`.
"""

from __future__ import annotations

from hashlib import sha256

from ..engine.journal_ids import split
from ..engine.paths import HELD, join, parent
from ..pauses import Hold

HEADER = "!"
EVENT = "!"
FAILURE = "!a"
POOLS = "!p"
LOG = "!t/"
RECORD = "."
HASHED_RECORD = "/"  # after ".", so after the log

LONGEST_PARTITION = 2048  # DynamoDB: bytes of a partition key, and of a sort key
LONGEST_SORT = 1024
_LONGEST_RUN = 1024  # leaves room for a scope

_ESCAPES = str.maketrans({c: f"%{ord(c):02X}" for c in "%/#"})


def escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def run(journal_id: str) -> str:
    """The partition that has the header."""
    run_id, _ = split(journal_id)
    key = escaped(run_id)
    return key if fits(key, _LONGEST_RUN) else f"r#{digest(run_id)}"


def scope(journal_id: str, scope: str) -> str:
    root, (_, number) = run(journal_id), split(journal_id)
    if number:  # a user's colon is escaped, so no scope of the first journal begins with one
        root = f"{root}/:{number}"
    if not scope:
        return root
    key = f"{root}/{scope}"
    return key if fits(key, LONGEST_PARTITION) else f"{root}//{digest(scope)}"


def record(journal_id: str, path: str) -> tuple[str, str]:
    """The partition and the sort key of the record at `path`."""
    within = parent(path)
    sort = RECORD + path[len(within) :].removeprefix("/")
    return scope(journal_id, within), sort if fits(sort, LONGEST_SORT) else HASHED_RECORD + digest(path)


def path(within: str, sort: str) -> str:
    """The path of a record whose key is not hashed, from the scope that it lies in."""
    rest = sort[len(RECORD) :]
    return within + rest if rest[0] == "[" else join(within, rest)


def log(position: int) -> str:
    return f"{LOG}{position:06d}"


def pool(number: int) -> str:
    return f"{POOLS}/{number}"


def event(event_id: str) -> str:
    key = f"e#{event_id}"
    return key if fits(key, LONGEST_PARTITION) else f"h#{digest(event_id)}"


def label(function_id: str, label: str, shard: int) -> str:
    key = f"l#{shard}#{escaped(function_id)}#{label}"
    return key if fits(key, LONGEST_PARTITION) else f"l#{shard}##{digest(function_id)}#{digest(label)}"


def kept(name: str) -> str:
    return f"k#{name}"


def held(hold: Hold, shard: int) -> str:
    """The partition of the messages that are kept during a pause."""
    return scope(hold.run, HELD) if hold.run else f"z#{shard}#{hold.function}"


def event_id(partition: str) -> str:
    """The id of an event whose key is not hashed."""
    return partition[len("e#") :]


def fits(key: str, limit: int) -> bool:
    """Whether a key has at most `limit` bytes. A character has at most four, so most are not encoded."""
    return len(key) * 4 <= limit or len(key.encode()) <= limit


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
