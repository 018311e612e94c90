"""Drives what AWS_ENDPOINT_URL names with boto3 and prints what came of it as one JSON object."""

import json
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

once = Config(retries={"total_max_attempts": 1})


def client(service, access_key=None, secret_key=None, token=None):
    return boto3.client(
        service,
        config=once,
        aws_access_key_id=access_key or os.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret_key or os.environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=token,
    )


def refusal(call, *args, **kwargs):
    """The code and status of a call that is refused."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "accepted"


def identity(role_arn):
    sts = client("sts")
    session = sts.assume_role(RoleArn=role_arn, RoleSessionName="boto3")["Credentials"]
    keys = [session["AccessKeyId"], session["SecretAccessKey"]]
    assumed = client("sts", *keys, session["SessionToken"])
    return {
        "account": sts.get_caller_identity()["Account"],
        "assumed": assumed.get_caller_identity()["Arn"].split(":", 5)[5],
        "wrong key": refusal(client("sts", secret_key="wrong").get_caller_identity),
        "wrong token": refusal(client("sts", *keys, "wrong").get_caller_identity),
    }


def secrets():
    manager = client("secretsmanager")
    value = {"user": "app", "password": "\u00e4\u20ac\U0001f600"}
    arn = manager.create_secret(Name="boto3/database", SecretString=json.dumps(value))["ARN"]
    manager.create_secret(Name="boto3/bytes", SecretBinary=bytes(range(256)))
    return {
        "by name": json.loads(manager.get_secret_value(SecretId="boto3/database")["SecretString"]) == value,
        "by arn": manager.get_secret_value(SecretId=arn)["Name"],
        "bytes": manager.get_secret_value(SecretId="boto3/bytes")["SecretBinary"] == bytes(range(256)),
        "listed": sorted(secret["Name"] for secret in manager.list_secrets()["SecretList"]),
        "missing": refusal(manager.get_secret_value, SecretId="boto3/missing"),
        "wrong key": refusal(
            client("secretsmanager", secret_key="wrong").get_secret_value, SecretId="boto3/database"
        ),
        "unknown key": refusal(
            client("secretsmanager", access_key="AKIAUNKNOWNUNKNOWN12").get_secret_value, SecretId="x"
        ),
    }


def keys():
    kms = client("kms")
    key_id = kms.create_key(Description="boto3")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/boto3", TargetKeyId=key_id)
    context = {"purpose": "boto3", "name": "\u00e4"}
    blob = kms.encrypt(KeyId="alias/boto3", Plaintext=b"a secret", EncryptionContext=context)["CiphertextBlob"]
    data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    return {
        "decrypted": kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"].decode(),
        "data key": kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"],
        "wrong context": refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext={"purpose": "other"}),
        "missing": refusal(kms.describe_key, KeyId="alias/missing"),
        "imported": imported(kms),
    }


def imported(kms):
    """Material of our own, wrapped by the cryptography package, and what opens under it."""
    key_id = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    parameters = kms.get_parameters_for_import(
        KeyId=key_id, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_3072"
    )
    sha256 = hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(sha256), algorithm=sha256, label=None)
    wrapped = serialization.load_der_public_key(parameters["PublicKey"]).encrypt(os.urandom(32), oaep)
    pending = refusal(kms.encrypt, KeyId=key_id, Plaintext=b"x")
    kms.import_key_material(
        KeyId=key_id,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=wrapped,
        ExpirationModel="KEY_MATERIAL_EXPIRES",
        ValidTo=time.time() + 3600,
    )
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"imported")["CiphertextBlob"]
    return {
        "pending": pending,
        "decrypted": kms.decrypt(CiphertextBlob=blob)["Plaintext"].decode(),
        "model": kms.describe_key(KeyId=key_id)["KeyMetadata"]["ExpirationModel"],
    }


def tables():
    dynamodb = client("dynamodb")
    name = "boto3-keys"
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "host", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "host", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    item = {"host": {"S": "web-1"}, "blob": {"B": bytes(range(256))}, "generation": {"N": "1"}}
    create = {"TableName": name, "Item": item, "ConditionExpression": "attribute_not_exists(host)"}
    dynamodb.put_item(**create)
    twice = refusal(dynamodb.put_item, **create)
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": name,
                    "Key": {"host": {"S": "web-1"}},
                    "UpdateExpression": "SET generation = generation + :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            }
        ]
    )
    pages = dynamodb.get_paginator("scan").paginate(TableName=name, PaginationConfig={"PageSize": 1})
    return {
        "twice": twice,
        "read": [one for page in pages for one in page["Items"]] == [{**item, "generation": {"N": "2"}}],
        "missing": refusal(dynamodb.describe_table, TableName="boto3-missing"),
        "reserved": refusal(dynamodb.scan, TableName=name, FilterExpression="attribute_exists(status)"),
    }


def log_events():
    logs = client("logs")
    place = {"logGroupName": "/boto3/group", "logStreamName": "stream"}
    now = int(time.time() * 1000)
    events = [{"timestamp": now + index, "message": f"line {index} \u00e4\u20ac"} for index in range(1000)]
    logs.create_log_group(logGroupName="/boto3/group")
    logs.put_retention_policy(logGroupName="/boto3/group", retentionInDays=30)
    no_stream = refusal(logs.put_log_events, logEvents=events, **place)
    logs.create_log_stream(**place)
    logs.put_log_events(logEvents=events, **place)
    paginator = logs.get_paginator("filter_log_events")
    pages = paginator.paginate(logGroupName="/boto3/group", PaginationConfig={"PageSize": 300})
    read = [event["message"] for page in pages for event in page["events"]]
    old = {"timestamp": now - 15 * 86_400_000, "message": "old"}
    return {
        "no stream": no_stream,
        "all read": read == [event["message"] for event in events],
        "retention": logs.describe_log_groups()["logGroups"][0]["retentionInDays"],
        "rejected": logs.put_log_events(logEvents=[old, events[0]], **place)["rejectedLogEventsInfo"],
        "out of order": refusal(logs.put_log_events, logEvents=events[1::-1], **place),
        "retention of 2": refusal(logs.put_retention_policy, logGroupName="/boto3/group", retentionInDays=2),
    }


if __name__ == "__main__":
    services = {"secrets": secrets, "kms": keys, "dynamodb": tables, "logs": log_events}
    outcomes = {name: drive() for name, drive in services.items()}
    print(json.dumps({"sts": identity(sys.argv[1]), **outcomes}))
