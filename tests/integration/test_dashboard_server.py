"""The dashboard's server, asked by hand: who is let in, what it sends, and what it hands to the API."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path
from threading import Barrier, Thread

import pytest

from lambda_durable.dashboard import Dashboard
from lambda_durable.dashboard.files import find
from lambda_durable.dashboard.server import LARGEST_BODY, listen

STATIC = Path(__file__).parents[2] / "lambda_durable" / "dashboard" / "static"


def echo(event, context):
    """An API that answers with the event it got."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Cache-Control": "max-age=60"},
        "body": json.dumps(event),
    }


@pytest.fixture
def served():
    with Dashboard(lambda: echo) as dashboard:
        yield dashboard


def ask(dashboard, path, method="GET", body=None, *, token=None, **headers):
    """The status, headers and body of an answer. `headers` are written with underscores; None leaves one out."""
    given = {
        "Host": f"127.0.0.1:{dashboard.port}",
        "Authorization": f"Bearer {dashboard.token if token is None else token}",
        **({"Content-Type": "application/json"} if body is not None else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {
            **given,
            **({"Content-Length": str(len(body))} if body is not None else {}),
        }.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def error_of(answer):
    return answer[0], json.loads(answer[2])["error"]["type"]


def test_the_api_gets_the_event_that_a_function_url_would_make(served):
    status, _, body = ask(
        served,
        "/v1/runs/a%2Fb%20c/steps/x%25?status=failed&where=a%20%3E%201&label=",
        Accept="application/json",
    )
    event = json.loads(body)

    assert status == 200
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/v1/runs/a%2Fb%20c/steps/x%25"
    assert event["rawQueryString"] == "status=failed&where=a%20%3E%201&label="
    assert event["queryStringParameters"] == {"status": "failed", "where": "a > 1", "label": ""}
    assert event["requestContext"]["http"]["method"] == "GET"
    assert event["headers"] == {
        "accept": "application/json"
    }  # neither the token nor the host is its business
    assert "body" not in event


def test_a_body_reaches_the_api_as_it_was_sent(served):
    _, _, text = ask(served, "/v1/events", "POST", '{"é": 1}'.encode())
    _, _, binary = ask(served, "/v1/events", "POST", b"\xff{}")

    assert (json.loads(text)["body"], json.loads(text)["isBase64Encoded"]) == ('{"é": 1}', False)
    assert (json.loads(binary)["body"], json.loads(binary)["isBase64Encoded"]) == ("/3t9", True)


@pytest.mark.parametrize("path", ["/v1/runs", "/openapi.json"])
def test_without_the_token_of_this_start_the_api_is_not_reached(served, path):
    with Dashboard(lambda: echo) as other:
        of_another_start = other.token

    assert error_of(ask(served, path, Authorization=None)) == (401, "NoToken")
    assert error_of(ask(served, path, token=of_another_start)) == (401, "NoToken")
    assert error_of(ask(served, path, token="")) == (401, "NoToken")
    assert error_of(ask(served, path, Authorization=f"Basic {served.token}")) == (401, "NoToken")
    assert error_of(ask(served, path, Authorization=None, Cookie=f"token={served.token}")) == (401, "NoToken")
    assert error_of(ask(served, f"{path}?token={served.token}", Authorization=None)) == (401, "NoToken")
    assert ask(served, path)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "", None]
)
@pytest.mark.parametrize("path", ["/v1/runs", "/runs", "/static/js/main.js"])
def test_a_name_that_was_made_to_resolve_to_loopback_is_refused(served, host, path):
    assert error_of(ask(served, path, Host=host)) == (403, "ForeignHost")


def test_both_names_of_loopback_are_its_own(served):
    assert ask(served, "/v1/runs", Host=f"localhost:{served.port}")[0] == 200
    assert ask(served, "/v1/runs", Host=f"LOCALHOST:{served.port}")[0] == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", "null", ""]
)
def test_a_page_of_another_origin_is_refused_with_the_token_too(served, origin):
    assert error_of(ask(served, "/v1/runs", Origin=origin)) == (403, "ForeignOrigin")
    assert error_of(ask(served, "/v1/events", "POST", b"{}", Origin=origin)) == (403, "ForeignOrigin")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_or_fetches_is_refused_and_a_link_opens_the_page(served, site):
    assert error_of(ask(served, "/v1/runs", Sec_Fetch_Site=site)) == (403, "ForeignOrigin")
    assert error_of(ask(served, "/v1/runs", Sec_Fetch_Site=site, Sec_Fetch_Dest="document")) == (
        403,
        "ForeignOrigin",
    )
    assert error_of(ask(served, "/runs", Sec_Fetch_Site=site, Sec_Fetch_Dest="iframe")) == (
        403,
        "ForeignOrigin",
    )
    assert error_of(ask(served, "/static/js/api.js", Sec_Fetch_Site=site, Sec_Fetch_Dest="script")) == (
        403,
        "ForeignOrigin",
    )
    assert ask(served, "/runs", Sec_Fetch_Site=site, Sec_Fetch_Dest="document")[0] == 200


def test_its_own_pages_are_let_in(served):
    origin = f"http://127.0.0.1:{served.port}"

    assert ask(served, "/v1/events", "POST", b"{}", Origin=origin, Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("path", ["/", "/runs/x", "/v1/runs", "/static/css/base.css", "/static/nothing.js"])
def test_every_answer_keeps_the_browser_strict(served, path):
    _, headers, _ = ask(served, path)

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    for part in ("base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'", "trusted-types 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers.get_all("Cache-Control") == ["no-store"]
    assert "Set-Cookie" not in headers
    assert "Access-Control-Allow-Origin" not in headers


def test_every_path_of_a_page_is_the_shell_and_only_files_of_the_package_are_sent(served):
    shell = (STATIC / "index.html").read_bytes()

    for path in ("/", "/runs", "/runs/a.b%2Fc", "/functions/x?y=1", "/../../etc/passwd", "/v1"):
        assert ask(served, path)[::2] == (200, shell)
    for path in ("/static/", "/static/../guard.py", "/static/%2e%2e/guard.py", "/static//etc/passwd"):
        assert error_of(ask(served, path)) == (404, "NoSuchFile")
    assert find("/static/js/main.js") == (
        "text/javascript; charset=utf-8",
        (STATIC / "js/main.js").read_bytes(),
    )


@pytest.mark.parametrize("file", sorted(STATIC.rglob("*.*")), ids=lambda file: file.name)
def test_no_file_asks_a_third_party_nor_makes_elements_of_text(file):
    text = file.read_text()
    names = {"http://www.w3.org/2000/svg", "https://HOST/openapi.json"}

    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) - names == set()
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|style=\""
    assert re.findall(unsafe, text) == []


def test_a_body_is_json_of_a_length_that_is_said(served):
    assert error_of(
        ask(served, "/v1/events", "POST", b"a=1", Content_Type="application/x-www-form-urlencoded")
    ) == (415, "NotJson")
    assert error_of(ask(served, "/v1/events", "POST", b"{}", Content_Type=None)) == (415, "NotJson")
    assert error_of(ask(served, "/v1/events", "POST", None, Content_Length=str(LARGEST_BODY + 1))) == (
        413,
        "TooLarge",
    )
    assert error_of(ask(served, "/v1/events", "POST", None, Content_Length="-1")) == (400, "BadRequest")
    assert error_of(ask(served, "/v1/events", "POST", None, Content_Length="9" * 5000)) == (413, "TooLarge")
    assert error_of(ask(served, "/v1/events", "POST", None, Transfer_Encoding="chunked")) == (411, "NoLength")
    assert error_of(ask(served, "/runs", "POST", b"{}")) == (405, "MethodNotAllowed")
    assert error_of(ask(served, "/v1/runs", "DELETE")) == (501, "BadRequest")


def test_a_body_that_was_cut_off_reaches_nobody():
    def reached(event, context):
        raise AssertionError

    with (
        Dashboard(lambda: reached) as served,
        socket.create_connection(("127.0.0.1", served.port), 10) as cut,
    ):
        head = [
            "POST /v1/events HTTP/1.1", f"Host: 127.0.0.1:{served.port}", f"Authorization: Bearer {served.token}",
            "Content-Type: application/json", "Content-Length: 9", "", "{}",
        ]  # fmt: skip
        cut.sendall("\r\n".join(head).encode())
        cut.shutdown(socket.SHUT_WR)
        assert cut.recv(100).startswith(b"HTTP/1.1 400 ")


def test_an_api_that_fails_is_an_error_of_the_server_which_goes_on(capsys):
    def fails(event, context):
        if event["rawPath"] == "/v1/secret-token":
            raise ValueError("oops")
        return {"statusCode": 304, "headers": {"ETag": "x"}, "body": "what no 304 has"}

    with Dashboard(lambda: fails) as served:
        assert error_of(ask(served, "/v1/secret-token")) == (500, "InternalError")
        status, headers, body = ask(served, "/v1/else")

    assert (status, headers["ETag"], body) == (304, "x", b"")
    told = capsys.readouterr().err
    assert "ValueError: oops" in told
    assert "secret-token" not in told  # a path may have the token of a callback


def test_requests_at_once_are_answered_at_once_by_the_api_that_the_first_of_them_made():
    made = []
    both = Barrier(2, timeout=10)

    def make():
        made.append(1)

        def api(event, context):
            both.wait()
            return echo(event, context)

        return api

    with Dashboard(make) as served:
        ask(served, "/runs")
        assert made == []
        threads = [Thread(target=ask, args=(served, "/v1/both")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (made, both.broken) == ([1], False)


def test_the_address_has_the_token_where_no_browser_sends_it(served):
    address, _, fragment = served.url.partition("#")

    assert address == f"http://127.0.0.1:{served.port}/"
    assert fragment == f"token={served.token}"
    assert len(served.token) >= 43
    assert served.token not in repr(vars(served))


def test_it_is_reached_through_loopback_alone(served):
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", served.port)) != 0


def test_a_port_that_is_taken_is_an_error_before_anything_is_served(served):
    with pytest.raises(OSError, match="in use"):
        listen(served.port)
