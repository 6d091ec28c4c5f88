"""A cold start of boto3 alone: import, the clients for DynamoDB and SQS, and a call of each."""

import time

began = time.perf_counter()

import os
from typing import Any

import boto3

dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")


def handler(_: Any, __: Any) -> None:
    dynamodb.get_item(TableName="table", Key={"pk": {"S": "a"}, "sk": {"S": "b"}})
    sqs.send_message(QueueUrl=os.environ["LAMBDA_DURABLE_QUEUE_URL"], MessageBody="none")


if __name__ == "__main__":
    from measuring import first

    first(handler, began)
