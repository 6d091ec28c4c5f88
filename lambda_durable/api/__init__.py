"""The HTTP API: what a client can do, over HTTP.

`connect` makes it for a deployed app, `create` on any world. It takes the events of a Lambda function URL (payload
version 2.0), and answers as such a Lambda does.
"""

from .serving import Api, connect, create

__all__ = ["Api", "connect", "create"]
