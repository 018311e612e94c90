"""Makes a KMS key under an alias and secrets in Secrets Manager: {"alias": …, "secrets": {name: text}} as argument."""

import json
import sys

import boto3

wanted = json.loads(sys.argv[1])
kms = boto3.client("kms")
secrets = boto3.client("secretsmanager")

key = kms.create_key()["KeyMetadata"]
kms.create_alias(AliasName=wanted["alias"], TargetKeyId=key["KeyId"])
for name, text in wanted.get("secrets", {}).items():
    secrets.create_secret(Name=name, SecretString=text)
print(json.dumps({"keyArn": key["Arn"]}))
