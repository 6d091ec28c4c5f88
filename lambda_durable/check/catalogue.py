"""What functions of the standard library and of well-known packages do that a replay does not repeat."""

from __future__ import annotations

import sys
from typing import Final

FINE: Final = "fine"
QUIET: Final = ""
"""It differs from process to process, which matters only where a step depends on it."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAMES: Final = {
    "clock": """
        time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
        time.process_time time.process_time_ns time.thread_time time.clock_gettime time.clock_gettime_ns
        time.localtime time.gmtime time.ctime time.asctime time.strftime datetime.datetime.now
        datetime.datetime.utcnow datetime.datetime.today datetime.date.today datetime.datetime.date.today
        django.utils.timezone.now django.utils.timezone.localtime asyncio.loop.time os.times
        pandas.Timestamp.now pandas.Timestamp.utcnow pandas.Timestamp.today arrow.now arrow.utcnow
        pendulum.now pendulum.today pendulum.tomorrow pendulum.yesterday email.utils.localtime
        email.utils.formatdate email.utils.make_msgid
    """,
    "random": """
        random secrets os.urandom os.getrandom numpy.random torch.rand torch.randn faker
    """,
    FINE: """
        secrets.compare_digest random.Random.seed boto3.dynamodb.conditions boto3.dynamodb.types
        boto3.s3.transfer botocore.config httpx.URL httpx.Timeout httpx.Limits httpx.Headers
        httpx.QueryParams httpx.BasicAuth httpx.codes aiohttp.ClientTimeout requests.codes requests.auth
        urllib3.Retry urllib3.util psycopg.sql psycopg2.sql psycopg.types pymongo.errors redis.exceptions
        os.path os.sep os.linesep os.pathsep os.fspath os.fsencode os.fsdecode os.strerror os.PathLike
        os.name subprocess.PIPE subprocess.DEVNULL subprocess.STDOUT subprocess.list2cmdline lambda_durable
        pydantic pydantic_core typing_extensions annotated_types attr attrs numpy pandas dateutil pytz
        tzdata babel jinja2 markupsafe yaml orjson msgspec marshmallow structlog loguru
        aws_lambda_powertools common_expression_language cel wrapt cachetools more_itertools toolz
        phonenumbers email_validator slugify jsonschema rich typer click pytest sqlalchemy django.utils
    """,
    "uuid": """
        uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 ulid nanoid shortuuid cuid cuid2 ksuid uuid6 uuid_utils
        bson.ObjectId bson.objectid
    """,
    "environment": """
        os.environ os.environb os.getenv os.getpid os.getppid os.getcwd os.uname os.cpu_count os.getlogin
        os.getloadavg sys.argv platform locale.getlocale locale.getdefaultlocale getpass pwd uuid.getnode
        socket.gethostname socket.getfqdn threading.current_thread threading.get_ident
        multiprocessing.cpu_count pathlib.Path.cwd pathlib.Path.home dotenv
    """,
    "network": """
        boto3 botocore aioboto3 aiobotocore s3fs minio requests httpx aiohttp urllib.request urllib3
        http.client websockets websocket pycurl socket ssl.get_server_certificate smtplib aiosmtplib imaplib
        poplib ftplib telnetlib xmlrpc.client nntplib paramiko asyncssh grpc ldap3 hvac consul dns ping3
        asyncio.open_connection asyncio.start_server asyncio.loop.create_connection redis aioredis pymongo
        motor psycopg psycopg2 asyncpg pymysql MySQLdb mysql aiomysql sqlalchemy.create_engine
        sqlalchemy.engine sqlalchemy.orm.Session sqlalchemy.ext.asyncio sqlalchemy.orm.sessionmaker
        cassandra snowflake databricks pyodbc oracledb cx_Oracle kafka confluent_kafka aiokafka pika
        aio_pika nats elasticsearch opensearchpy celery stripe openai anthropic cohere mistralai litellm
        google.cloud google.genai google.generativeai googleapiclient azure slack_sdk twilio sendgrid
        postmarker mailchimp_marketing hubspot github gitlab jira simple_salesforce pinecone weaviate
        qdrant_client chromadb sentry_sdk lambda_durable.client lambda_durable.Client
        lambda_durable.ai.Model.__call__ aws_lambda_powertools.utilities.parameters
    """,
    "file": """
        builtins.open builtins.input os.path.exists os.path.lexists os.path.isfile os.path.isdir
        os.path.islink os.path.ismount os.path.getsize os.path.getmtime os.path.getatime os.path.getctime
        os.path.samefile os io.open io.FileIO codecs.open shutil tempfile glob fileinput linecache mmap
        aiofiles zipfile.ZipFile tarfile.open gzip.open bz2.open lzma.open sqlite3 aiosqlite shelve dbm
        configparser.ConfigParser.read anyio.Path anyio.open_file pandas.read_csv pandas.read_parquet
        pathlib.Path.open pathlib.Path.read_text pathlib.Path.read_bytes pathlib.Path.write_text
        pathlib.Path.write_bytes pathlib.Path.exists pathlib.Path.is_file pathlib.Path.is_dir
        pathlib.Path.is_symlink pathlib.Path.iterdir pathlib.Path.glob pathlib.Path.rglob pathlib.Path.walk
        pathlib.Path.mkdir pathlib.Path.rmdir pathlib.Path.touch pathlib.Path.unlink pathlib.Path.rename
        pathlib.Path.replace pathlib.Path.stat pathlib.Path.lstat pathlib.Path.expanduser pathlib.Path.chmod
        pathlib.Path.symlink_to pathlib.Path.hardlink_to pathlib.Path.owner pathlib.Path.group
        pathlib.Path.samefile pathlib.Path.readlink
    """,
    "process": """
        subprocess os.system os.popen os.fork os.execv os.execve os.execvp os.spawnv os.posix_spawn os.kill
        asyncio.create_subprocess_exec asyncio.create_subprocess_shell pexpect sh
    """,
    "timer": """
        time.sleep anyio.sleep trio.sleep gevent.sleep signal.alarm signal.setitimer sched threading.Timer
        asyncio.loop.call_later asyncio.loop.call_at asyncio.timeout asyncio.timeout_at anyio.move_on_after
        anyio.fail_after
    """,
    "thread": """
        threading.Thread _thread concurrent.futures.ThreadPoolExecutor multiprocessing joblib
        concurrent.futures.ProcessPoolExecutor multiprocessing.pool asyncio.to_thread gevent
        asyncio.loop.run_in_executor anyio.to_thread asyncio.run_coroutine_threadsafe asyncio.run
    """,
    QUIET: """
        builtins.id builtins.hash
    """,
}

_RULES: Final = {name: rule for rule, names in _NAMES.items() for name in names.split()}

NEEDS_TIME: Final = {
    "time.localtime": 0,
    "time.gmtime": 0,
    "time.ctime": 0,
    "time.asctime": 0,
    "time.strftime": 1,
    "email.utils.localtime": 0,
    "email.utils.formatdate": 0,
}
"""They read the clock where they are given no time: with no more than so many arguments."""

SEEDED: Final = {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState"}
"""With a seed, they are the same every time."""

READ_BY_NAME: Final = {"os.environ", "os.environb", "sys.argv"}
"""To mention them is to read them."""

UNORDERED: Final = {
    "os.listdir",
    "os.scandir",
    "glob.glob",
    "glob.iglob",
    "pathlib.Path.iterdir",
    "pathlib.Path.glob",
}
"""What they give has no order that one could rely on."""


def rule_of(name: str) -> str | None:
    """What a call of a function breaks: a rule's id, FINE, QUIET, or None if nobody knows. The longest name that
    the table has decides: `random.random` is as `random` is."""
    last = name.rpartition(".")[2]
    if last.endswith(("Error", "Exception", "Warning")):
        return FINE
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if (found := _RULES.get(".".join(parts[:end]))) is not None:
            return found
    return FINE if parts[0] in sys.stdlib_module_names or parts[0] == "builtins" else None
