"""A step's calls on the short path, by both of its senders, to a server that says what it is told to."""

from __future__ import annotations

import gc
import itertools
import json
import os
import socket
import ssl
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

import botocore.session
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError

from lambda_durable import ConfigurationError
from lambda_durable.aws import clients
from lambda_durable.aws.short_path import SHORT, Raw
from tests.loopback import answering

ITEM = {"pk": {"S": "p"}, "sk": {"S": "ü/🙂"}}
THERE = {"TableName": "t", "Item": ITEM, "ConditionExpression": "attribute_not_exists(pk)"}


def error(code, **more):
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no", **more}


class Service:
    """It gives each request the next of its answers, the last one for good; and keeps what it was asked."""

    def __init__(self, tls=None):
        self.answers, self.asked, self.connections, self.hangs_up = [(200, {})], [], 0, False
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                service.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.asked.append((self.path, dict(self.headers), body))
                answers = service.answers
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer):
                    answer = answer(self, body)
                self.close_connection = service.hangs_up or answer is None
                if answer is not None:
                    status, said, *headers = answer
                    text = json.dumps(said).encode()
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(text)), **dict(headers)}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who calls may hang up

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(tls=None):
    service = Service(tls)
    with answering(service.server):
        yield service


@pytest.fixture(params=["python", "libcurl"])
def libcurl(request, monkeypatch):
    monkeypatch.setenv(clients.TRANSPORT, request.param)
    return request.param == "libcurl"


@pytest.fixture(autouse=True)
def configured(monkeypatch, tmp_path):
    for name in (
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.fixture
def service(monkeypatch):
    with serving() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        yield service


@pytest.fixture
def dynamodb(libcurl, service):
    client = clients.Clients().dynamodb
    yield client
    client.close()


def signature(service, name, asked):
    """What botocore signs a request with, of the headers that it says it has signed."""
    path, headers, body = asked
    signed = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    lower = {name.lower(): value for name, value in headers.items()}
    request = AWSRequest("POST", service.url + path, {name: lower[name] for name in signed}, body)
    signer = SigV4Auth(Credentials("AKID", "secret"), name, "eu-west-1")
    request.context["timestamp"] = lower["x-amz-date"]
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request)


@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_a_call_is_signed_as_botocore_signs_it(service, libcurl, monkeypatch, token):
    if token is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    clients.Clients().dynamodb.put_item(**THERE)
    clients.Clients().sqs.send_message(QueueUrl=f"{service.url}/1/queue", MessageBody="ü")
    for name, asked in zip(("dynamodb", "sqs"), service.asked, strict=True):
        headers = asked[1]
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
        assert headers["Authorization"].endswith(f"Signature={signature(service, name, asked)}")
        assert headers.get("X-Amz-Security-Token") == token
        assert "lambda-durable" in headers["User-Agent"]
    assert json.loads(service.asked[0][2]) == THERE


def test_credentials_are_those_of_the_moment(service, libcurl, monkeypatch):
    credentials = Credentials("AKID", "secret", "first")
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: credentials)
    made = clients.Clients().dynamodb
    made.put_item(**THERE)
    credentials.token = "second"
    made.put_item(**THERE)
    assert [headers["X-Amz-Security-Token"] for _, headers, _ in service.asked] == ["first", "second"]


def test_without_credentials_nothing_is_sent(service, libcurl, monkeypatch):
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: None)
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        clients.Clients().dynamodb.put_item(**THERE)
    assert service.asked == []


def times_and_bytes(shape, path=()):
    """What botocore makes something else of than JSON has, but for the binary values of attributes."""
    if shape is None or shape.name == "AttributeValue" or shape.name in path:
        return
    if shape.type_name in ("timestamp", "blob"):
        yield (*path, shape.name)
    inner = getattr(shape, "members", {}).values() if shape.type_name == "structure" else ()
    inner = [*inner, *(getattr(shape, name) for name in ("member", "value") if hasattr(shape, name))]
    for each in inner:
        yield from times_and_bytes(each, (*path, shape.name))


@pytest.mark.parametrize("service_name", SHORT)
def test_all_answers_on_the_short_path_are_plain_json(service_name):
    model = botocore.session.get_session().get_service_model(service_name)
    for name in SHORT[service_name]:
        assert list(times_and_bytes(model.operation_model(name).output_shape)) == [], name
    assert service_name == "sqs" or list(times_and_bytes(model.operation_model("DescribeTable").output_shape))


def test_an_answer_is_what_botocore_makes_of_it(dynamodb, service):
    service.answers = [
        (200, {"Item": {"b": {"B": b64encode(b"\x00\xff").decode()}}, "ConsumedCapacity": None})
    ]
    found = dynamodb.get_item(TableName="t", Key=ITEM)
    assert found["Item"] == {"b": {"B": b"\x00\xff"}}
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "ConsumedCapacity" not in found
    dynamodb.put_item(TableName="t", Item={**ITEM, "b": {"B": b"\x00\xff"}})
    assert json.loads(service.asked[-1][2])["Item"]["b"] == {"B": "AP8="}


def test_a_connection_is_used_again(dynamodb, service):
    for _ in range(5):
        dynamodb.put_item(**THERE)
    assert (service.connections, len(service.asked)) == (1, 5)


def test_a_connection_that_was_closed_meanwhile_costs_no_call(dynamodb, service):
    service.hangs_up = True
    for _ in range(3):
        dynamodb.put_item(**THERE)
        threading.Event().wait(0.1)  # until its end has come
    assert (service.connections, len(service.asked)) == (3, 3)


def test_a_condition_that_does_not_hold_is_asked_for_once(dynamodb, service):
    service.answers = [error("ConditionalCheckFailedException", Item={"n": {"N": "1"}})]
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(**THERE)
    assert caught.value.response["Item"] == {"n": {"N": "1"}}
    assert caught.value.response["Error"]["Message"] == "no"
    assert len(service.asked) == 1


def test_a_cancelled_transaction_says_why(dynamodb, service):
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}}]
    service.answers = [error("TransactionCanceledException", CancellationReasons=reasons)]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=[{"Put": THERE}, {"Put": THERE}])
    assert caught.value.response["CancellationReasons"] == reasons
    assert len(service.asked) == 1


@pytest.mark.parametrize("answer", [error("ThrottlingException"), (503, {})], ids=["throttled", "failed"])
def test_what_is_retried_is_asked_for_three_times_in_all(dynamodb, service, answer):
    service.answers = [answer]
    with pytest.raises(ClientError) as caught:
        dynamodb.put_item(**THERE)
    assert len(service.asked) == clients.ATTEMPTS
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == clients.ATTEMPTS - 1
    service.answers = [answer, (200, {"Attributes": ITEM})]
    assert dynamodb.put_item(**THERE)["Attributes"] == ITEM
    assert len(service.asked) == clients.ATTEMPTS + 2
    assert service.connections == 2  # one is botocore's, who retries


def test_an_error_of_a_queue_has_its_own_name(service, libcurl):
    service.answers = [
        (400, {"__type": "com.amazonaws.sqs#KmsThrottled"}, ("x-amzn-query-error", "KMS.Throttled;Sender"))
    ]
    with pytest.raises(ClientError) as caught:
        clients.Clients().sqs.send_message(QueueUrl=f"{service.url}/1/queue", MessageBody="m")
    assert caught.value.response["Error"]["Code"] == ("KmsThrottled" if libcurl else "KMS.Throttled")


def test_a_key_that_may_not_be_used_is_a_permission_that_is_denied(service, libcurl):
    service.answers = [
        (
            400,
            {"__type": "com.amazonaws.sqs#KmsAccessDenied"},
            ("x-amzn-query-error", "KMS.AccessDeniedException;Sender"),
        )
    ]
    with pytest.raises(ConfigurationError, match="permission denied for sqs:SendMessage"):
        clients.Clients().sqs.send_message(QueueUrl=f"{service.url}/1/queue", MessageBody="m")


def test_an_answer_is_handed_over_to_no_other_call(dynamodb, service):
    def die(**_):
        raise RuntimeError("dies before it asks for its answer")

    service.answers = [error("ConditionalCheckFailedException"), (200, {"TableNames": ["t"]})]
    dynamodb.meta.events.register("request-created", die)
    with pytest.raises(RuntimeError, match="dies"):
        dynamodb.put_item(**THERE)
    dynamodb.meta.events.unregister("request-created", die)
    assert dynamodb.list_tables()["TableNames"] == ["t"]


def test_a_connection_that_is_cut_is_made_anew(dynamodb, service):
    service.answers = [(200, {}), lambda *_: None, (200, {"Attributes": ITEM})]
    dynamodb.put_item(**THERE)
    assert dynamodb.put_item(**THERE)["Attributes"] == ITEM
    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("kept", "most"), [(False, 1), (True, 2)], ids=["a new one", "one that is kept alive"]
)
def test_what_gets_no_answer_is_asked_for_once_more_in_all(dynamodb, service, libcurl, kept, most):
    """libcurl asks by itself once more where a connection that it kept alive is cut, and can't be told not to."""
    if kept:
        dynamodb.put_item(**THERE)
    service.asked.clear()
    service.answers = [lambda *_: None]
    with pytest.raises(HTTPClientError):
        dynamodb.put_item(**THERE)
    assert len(service.asked) == clients.ATTEMPTS + (most if libcurl else 1)


def test_an_answer_that_breaks_off_is_asked_for_again(dynamodb, service):
    def begin(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    service.answers = [begin, (200, {"Attributes": ITEM})]
    assert dynamodb.put_item(**THERE)["Attributes"] == ITEM


@pytest.mark.parametrize("size", [1, 5_000])
def test_an_answer_that_does_not_come_is_not_waited_for(service, libcurl, monkeypatch, size):
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.5)
    gone = threading.Event()
    service.answers = [lambda *_: gone.wait(20) and None, (200, {"Attributes": ITEM})]
    began = time.monotonic()
    try:
        item = {**ITEM, "x": {"S": "x" * size}}
        assert clients.Clients().dynamodb.put_item(TableName="t", Item=item)["Attributes"] == ITEM
    finally:
        gone.set()
    assert time.monotonic() - began < 6


def test_a_host_that_does_not_answer_is_not_waited_for(libcurl, monkeypatch):
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(clients, "READ_TIMEOUT", 20)
    with ExitStack() as stack:
        host = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # nobody accepts them, and no more are let in
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(host.getsockname())
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{host.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ConfigurationError, match="can't be reached"):
            clients.Clients().dynamodb.put_item(**THERE)
    assert time.monotonic() - began < 6


def test_of_connections_that_went_dead_together_one_is_waited_for(service, libcurl, monkeypatch):
    """As of a process that was frozen: their ends have not come."""
    monkeypatch.setattr(clients, "READ_TIMEOUT", 1)
    dynamodb = clients.Clients().dynamodb
    together, gone, dead = threading.Barrier(4, timeout=10), threading.Event(), set()

    def answer(handler, _):
        if handler.connection in dead:
            return gone.wait(20) and None
        if not together.broken:
            together.wait()
            dead.add(handler.connection)
        return 200, {"Attributes": ITEM}

    service.answers = [answer]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: dynamodb.put_item(**THERE), range(4)))
    together.abort()
    try:
        for _ in range(3):
            assert dynamodb.put_item(**THERE)["Attributes"] == ITEM
    finally:
        gone.set()
    assert len(service.asked) == 4 + 1 + 3


def test_an_answer_that_was_damaged_is_asked_for_again(service, monkeypatch):
    """libcurl is not asked for headers, since each costs it the interpreter. TLS sees to it, too."""
    monkeypatch.setenv(clients.TRANSPORT, "python")
    whole = {"Item": ITEM}
    told = "x-amz-crc32", str(crc32(json.dumps(whole).encode()))
    service.answers = [(200, {"a": 1}, told), (200, whole, told)]
    assert clients.Clients().dynamodb.get_item(TableName="t", Key=ITEM)["Item"] == ITEM
    assert len(service.asked) == 2


def test_threads_have_connections_of_their_own_and_get_their_own_answers(dynamodb, service):
    def answer(_, body):
        item = json.loads(body)["Item"]
        odd = int(item["n"]["N"]) % 2
        return error("ConditionalCheckFailedException", Item=item) if odd else (200, {"Attributes": item})

    failed = (
        dynamodb.exceptions.ConditionalCheckFailedException
    )  # botocore makes it when it is first asked for

    def put(number):
        item = {"n": {"N": str(number)}}
        try:
            return dynamodb.put_item(TableName="t", Item=item)["Attributes"] == item
        except failed as caught:
            return caught.response["Item"] == item

    service.answers = [answer]
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # also between an answer and its hand-over
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(put, range(200)))
    finally:
        sys.setswitchinterval(often)
    assert len(service.asked) == 200
    assert service.connections <= 8


def test_as_many_connections_are_kept_as_may_be(service, libcurl, monkeypatch):
    monkeypatch.setattr(clients, "CONNECTIONS", 2)
    together = threading.Barrier(4)
    service.answers = [lambda *_: (together.wait(20), (200, {}))[1]]
    client = clients.Clients().dynamodb
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            list(pool.map(lambda _: client.put_item(**THERE), range(4)))
    assert (len(service.asked), service.connections) == (8, 4 + 2)


def test_a_long_request_is_sent_without_being_announced(dynamodb, service):
    dynamodb.put_item(TableName="t", Item={**ITEM, "x": {"S": "x" * 2**20}})
    ((_, headers, _),) = service.asked
    assert "Expect" not in headers


def test_an_endpoint_may_have_a_path_and_a_query(service, libcurl, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{service.url}/emulator?key=1")
    made = clients.Clients().dynamodb
    made.put_item(**THERE)
    made.list_tables()
    (short, _, _), (whole, _, _) = service.asked
    assert short == whole


def test_what_invoked_this_process_is_told_and_not_signed(service, libcurl, monkeypatch):
    """Who receives a message sees what led to it; DynamoDB has nobody to tell."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a:1")
    made = clients.Clients()
    made.sqs.send_message(QueueUrl=f"{service.url}/1/queue", MessageBody="m")
    made.dynamodb.put_item(**THERE)
    (_, told, _), (_, other, _) = service.asked
    assert told["X-Amzn-Trace-Id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a:1"
    assert "trace" not in told["Authorization"] + other["Authorization"]
    assert ("X-Amzn-Trace-Id" in other) is not libcurl


def test_who_stands_in_for_http_is_asked_instead(dynamodb, service):
    answers = [None, (200, {"Attributes": ITEM}), *[error("ConditionalCheckFailedException")] * 2]

    def answer(request, **_):
        assert json.loads(request.body) == THERE
        if (answered := answers.pop(0)) is not None:
            status, said = answered
            return AWSResponse(request.url, status, HTTPHeaders(), Raw(json.dumps(said).encode()))
        return None

    dynamodb.meta.events.register_first("before-send", answer)
    assert "Attributes" not in dynamodb.put_item(**THERE)
    assert len(service.asked) == 1
    assert dynamodb.put_item(**THERE)["Attributes"] == ITEM
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(**THERE)
    assert (answers, len(service.asked)) == ([], 1)


def test_a_proxy_is_left_to_botocore(service, libcurl, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://dynamodb.invalid")
    monkeypatch.setenv("http_proxy", service.url)
    clients.Clients().dynamodb.put_item(**THERE)
    ((asked_for, headers, _),) = service.asked
    assert asked_for == "http://dynamodb.invalid/"
    assert "amz-sdk-request" in headers  # which botocore alone sends


def test_a_proxy_that_botocore_does_not_know_is_not_used(dynamodb, service, monkeypatch):
    with serving() as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
        dynamodb.put_item(**THERE)
        assert (len(service.asked), proxy.asked) == (1, [])


def test_what_is_no_http_is_not_asked(libcurl, monkeypatch, tmp_path):
    (tmp_path / "answer").write_text("{}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"file://localhost{tmp_path}/answer")
    with pytest.raises(HTTPClientError, match="scheme"):
        clients.Clients().dynamodb.put_item(**THERE)


@pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_EXECUTION_ENV"])
def test_a_line_within_a_header_is_not_sent(service, libcurl, monkeypatch, name):
    monkeypatch.setenv(name, "a\r\nX-Forged: 1")
    with pytest.raises(HTTPClientError, match="header"):
        clients.Clients().dynamodb.put_item(**THERE)
    assert service.asked == []


@pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SDK_UA_APP_ID"])
def test_what_a_sender_cannot_spell_is_left_to_botocore(service, libcurl, monkeypatch, name):
    monkeypatch.setenv(name, "ü/🙂")
    clients.Clients().dynamodb.put_item(**THERE)
    assert len(service.asked) == 1


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def safely(authority, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with serving(tls) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        yield service


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_of_ones_own_is_believed(safely, authority, libcurl, monkeypatch, tmp_path, name):
    authority.cert_pem.write_to_path(tmp_path / "own.pem")
    monkeypatch.setenv(name, str(tmp_path / "own.pem"))
    made = clients.Clients().dynamodb
    for _ in range(3):
        made.put_item(**THERE)
    assert Counter("amz-sdk-request" in headers for _, headers, _ in safely.asked) == {False: 3}
    assert safely.connections == 1


def test_the_authorities_are_loaded_once_for_all_clients(safely, authority, monkeypatch, tmp_path):
    """Those of the Internet are 20 ms of CPU, in each cold start."""
    authority.cert_pem.write_to_path(tmp_path / "own.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own.pem"))
    monkeypatch.setenv(clients.TRANSPORT, "python")
    loaded, load = [], ssl.SSLContext.load_verify_locations

    def counted(context, *given, **more):
        loaded.append(given)
        return load(context, *given, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    made = clients.Clients()
    made.dynamodb.put_item(**THERE)
    made.sqs.send_message(QueueUrl=f"{safely.url}/1/queue", MessageBody="m")
    safely.hangs_up = True
    for _ in range(2):
        made.dynamodb.put_item(**THERE)
        threading.Event().wait(0.1)  # until its end has come
    assert (len(loaded), safely.connections, len(safely.asked)) == (1, 2, 4)


def sockets():
    """Open in this process, which are the service's, too."""
    return sum("socket:" in os.path.realpath(each) for each in os.scandir("/proc/self/fd"))


def at_most(count):
    """Whether there are no more sockets, once the service has closed its ends."""
    until = time.monotonic() + 10
    while sockets() > count and time.monotonic() < until:
        threading.Event().wait(0.01)
    return sockets() <= count


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_the_sockets_of_a_client_are_bounded_and_closed_with_it(service, libcurl, monkeypatch):
    monkeypatch.setattr(clients, "CONNECTIONS", 4)
    numbers = itertools.count()
    answers = [(200, {}), error("ConditionalCheckFailedException"), error("ThrottlingException"), None]
    service.answers = [lambda *_: answers[next(numbers) % len(answers)]]

    def call_at_once():
        client = clients.Clients().dynamodb

        def put(_):
            with suppress(ClientError, HTTPClientError):
                client.put_item(**THERE)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(put, range(200)))
        kept = 3 if libcurl else 2  # botocore's own pool is one
        assert at_most(before + 2 * kept * clients.CONNECTIONS)

    gc.collect()
    before = sockets()
    call_at_once()
    gc.collect()
    assert at_most(before)


def test_whoever_is_vouched_for_by_nobody_is_told_nothing(safely, libcurl):
    with pytest.raises(ConfigurationError, match="certificate"):
        clients.Clients().dynamodb.put_item(**THERE)
    assert safely.asked == []


@pytest.mark.parametrize("said", [None, "no certificate"], ids=["missing", "empty"])
def test_authorities_that_cannot_be_read_are_named(safely, libcurl, monkeypatch, tmp_path, said):
    if said is not None:
        (tmp_path / "own.pem").write_text(said)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own.pem"))
    with pytest.raises(ConfigurationError, match="AWS_CA_BUNDLE"):
        clients.Clients().dynamodb.put_item(**THERE)
    assert safely.asked == []


def test_whoever_is_vouched_for_under_another_name_is_told_nothing(authority, libcurl, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "own.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(tls)
    with serving(tls) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with pytest.raises(ConfigurationError, match="certificate"):
            clients.Clients().dynamodb.put_item(**THERE)
        assert service.asked == []


@pytest.mark.parametrize(("named", "by_botocore"), [("", False), ("python", False), (" botocore ", True)])
def test_a_transport_is_named_by_the_environment(service, monkeypatch, named, by_botocore):
    monkeypatch.setenv(clients.TRANSPORT, named)
    made = clients.Clients()
    made.dynamodb.put_item(**THERE)
    made.sqs.send_message(QueueUrl=f"{service.url}/1/queue", MessageBody="m")
    assert ["amz-sdk-request" in headers for _, headers, _ in service.asked] == [by_botocore] * 2


def test_a_transport_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv(clients.TRANSPORT, "on")
    with pytest.raises(
        ConfigurationError, match="TRANSPORT is python, libcurl or botocore, and this is 'on'"
    ):
        _ = clients.Clients().dynamodb


def test_libcurl_that_is_not_there_is_named_with_its_extra(monkeypatch):
    monkeypatch.setenv(clients.TRANSPORT, "libcurl")
    monkeypatch.setattr(clients, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"add 'lambda-durable\[curl\]'"):
        _ = clients.Clients().dynamodb
