"""Blobs on S3."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


SHORT = "life=short"
"""The bucket's lifecycle rules go by this tag: what a run needs that lives beyond the retention is `long`."""


class S3Blobs:
    """The `Blobs` port: one object for each key.

    The role needs s3:ListBucket beside s3:GetObject: without it S3 says 403, not 404, of what is not there.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def digest(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def put(self, key: str, text: str) -> None:
        self._client.put_object(
            Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json", Tagging=SHORT
        )

    def get(self, key: str) -> str:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            raise KeyError(key) from None
        return found["Body"].read().decode()

    def extend(self, key: str) -> None:
        self._client.put_object_tagging(
            Bucket=self._bucket, Key=key, Tagging={"TagSet": [{"Key": "life", "Value": "long"}]}
        )
