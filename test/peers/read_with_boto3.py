"""Reads a whole log stream, page by page, and prints what there is as one JSON object: group and stream as arguments."""

import hashlib
import json
import sys

import boto3

group, stream = sys.argv[1:]
logs = boto3.client("logs")
place = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}

messages = []
page = logs.get_log_events(**place)
# The end of a stream answers with the token it was asked with.
while page["events"]:
    messages += [event["message"] for event in page["events"]]
    page = logs.get_log_events(**place, nextToken=page["nextForwardToken"])

text = "".join(f"{message}\n" for message in messages)
print(
    json.dumps(
        {
            "lines": len(messages),
            "distinct": len(set(messages)),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
    )
)
