"""The embedded cloud starts, keeps what it is told to, and goes when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import boto3
import pytest

from lambda_durable.local import CloudError, LocalCloud


def client(cloud, service):
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(service, endpoint_url=cloud.endpoint)


@pytest.fixture
def cloud():
    with LocalCloud() as cloud:
        yield cloud


def test_it_answers_as_soon_as_it_has_started(cloud):
    client(cloud, "sqs").create_queue(QueueName="jobs")

    assert [url.rpartition("/")[2] for url in client(cloud, "sqs").list_queues()["QueueUrls"]] == ["jobs"]


def test_two_run_side_by_side(cloud):
    with LocalCloud() as other:
        client(other, "sqs").create_queue(QueueName="jobs")

        assert other.port != cloud.port
        assert client(cloud, "sqs").list_queues().get("QueueUrls", []) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only(cloud):
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{cloud.pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{cloud.port:04X}") and line.split()[3] == "0A"
    ]

    assert listening == [f"0100007F:{cloud.port:04X}"]


def test_it_takes_a_chosen_port_and_says_when_it_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CloudError, match=f"port {port} is taken"):
            LocalCloud(port=port).start()

    with LocalCloud(port=port) as cloud:
        assert cloud.endpoint == f"http://127.0.0.1:{port}"


def test_what_is_in_its_state_folder_outlives_it(tmp_path):
    with LocalCloud(state=tmp_path) as cloud:
        client(cloud, "sqs").create_queue(QueueName="jobs")
        client(cloud, "s3").create_bucket(Bucket="payloads")
        client(cloud, "s3").put_object(Bucket="payloads", Key="a/b", Body=b"kept")

    with LocalCloud(state=tmp_path) as cloud:
        assert client(cloud, "sqs").get_queue_url(QueueName="jobs")
        assert client(cloud, "s3").get_object(Bucket="payloads", Key="a/b")["Body"].read() == b"kept"


def test_nothing_of_it_is_left_when_it_has_stopped():
    with LocalCloud() as cloud:
        pid, scratch = cloud.pid, cloud.log.parent

    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    assert not scratch.exists()


def test_one_that_died_is_told_from_a_product_that_failed(cloud):
    os.kill(cloud.pid, signal.SIGKILL)
    cloud._process.wait()

    with pytest.raises(CloudError, match="is gone: exit status -9"):
        cloud.check()


def test_one_that_cannot_start_says_what_it_said(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no module named ministack >&2\nexit 3\n")
    broken.chmod(0o755)

    with pytest.raises(CloudError, match=r"did not start\n  no module named ministack"):
        LocalCloud(python=str(broken)).start()


def test_an_interpreter_that_is_not_there_is_named():
    with pytest.raises(CloudError, match="no Python /nowhere/python"):
        LocalCloud(python="/nowhere/python").start()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_settings_for_another_cloud_do_not_reach_it(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")

    with LocalCloud(environment={"GREETING": "hello"}) as cloud:
        seen = Path(f"/proc/{cloud.pid}/environ").read_text().split("\0")

    assert "GREETING=hello" in seen
    assert not [line for line in seen if line.startswith(("AWS_ENDPOINT_URL=", "PYTHONPATH="))]


def test_what_it_is_talked_to_with_names_it_and_no_account_of_anybody(cloud):
    environ = cloud.environ()

    assert environ["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert environ["AWS_CONFIG_FILE"] == os.devnull
