"""
AWS's own Encryption SDK for Python.

    open FILE KEY_ARN                        prints plaintext (base64), context and suite as one JSON object
    write FILE KEY_ARN SUITE CONTEXT TEXT    writes a message; CONTEXT is a JSON object
"""

import base64
import json
import sys
from pathlib import Path

from aws_encryption_sdk import Algorithm, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider

# Its commitment policy is to require commitment, writing and reading, unless told otherwise.
client = EncryptionSDKClient(max_encrypted_data_keys=1)


def opened(file, key_arn):
    keys = StrictAwsKmsMasterKeyProvider(key_ids=[key_arn])
    plaintext, header = client.decrypt(source=Path(file).read_bytes(), key_provider=keys)
    return {
        "plaintext": base64.b64encode(plaintext).decode(),
        "context": header.encryption_context,
        "suite": header.algorithm.name,
    }


def write(file, key_arn, suite, context, text):
    message, _header = client.encrypt(
        source=text.encode(),
        key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[key_arn]),
        algorithm=Algorithm[suite],
        encryption_context=json.loads(context),
    )
    Path(file).write_bytes(message)
    return {"bytes": len(message)}


print(json.dumps({"open": opened, "write": write}[sys.argv[1]](*sys.argv[2:])))
