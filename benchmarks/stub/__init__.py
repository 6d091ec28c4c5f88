"""A stub of what the contenders call: DynamoDB, SQS and the API of AWS's durable functions, on loopback.

It runs in a process of its own and answers each call after the same time, so that what is compared is what the
libraries do around their calls. What it keeps is right, as far as the contenders ask; what it does not know is an
error.
"""
