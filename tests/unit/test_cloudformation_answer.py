"""The PUT that tells CloudFormation how it went."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lambda_durable.aws import cloudformation
from lambda_durable.aws.cloudformation import put_answer
from tests.loopback import answering


class Bucket(HTTPServer):
    """Where answers go. `statuses` are what the next requests are answered with; then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None, bytes]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/answer?X-Amz-Signature=secret"


class Handler(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def bucket(monkeypatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setattr(cloudformation, "PAUSE", 0)
    server = Bucket()
    with answering(server):
        yield server


def test_goes_to_the_presigned_url_without_a_content_type(bucket):
    put_answer(bucket.url, b'{"Status": "SUCCESS"}')
    assert bucket.seen == [("/answer?X-Amz-Signature=secret", "", b'{"Status": "SUCCESS"}')]


def test_is_tried_again(bucket):
    bucket.statuses = [503, 500]
    put_answer(bucket.url, b"{}")
    assert len(bucket.seen) == 3


def test_that_is_not_taken_is_an_error_which_keeps_the_signature_to_itself(bucket):
    bucket.statuses = [403, 403, 403]
    with pytest.raises(OSError, match="HTTP status 403") as caught:
        put_answer(bucket.url, b"{}")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_to_where_nobody_listens_is_an_error(bucket):
    with pytest.raises(OSError, match="could not be put"):
        put_answer("http://127.0.0.1:1/answer", b"{}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://host/x", "answer"])
def test_goes_by_https_alone(url, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(ValueError, match="goes to https"):
        put_answer(url, b"{}")
