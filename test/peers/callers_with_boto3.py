"""Says who boto3 is under each profile of the config that it is pointed at."""

import json

import boto3

answers = {}
for name in boto3.Session().available_profiles:
    try:
        answers[name] = boto3.Session(profile_name=name).client("sts").get_caller_identity()["Arn"]
    except Exception as error:
        answers[name] = repr(error)
print(json.dumps(answers))
