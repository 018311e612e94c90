"""
AWS's own Encryption SDK for Python.

    open FILE KEY_ARN                        prints plaintext (base64), context and suite as one JSON object
    write FILE KEY_ARN SUITE CONTEXT TEXT    writes a message; CONTEXT is a JSON object
    open-raw FILE KEY NAME                   the same as open, under a master key (hex) of this generation
    write-raw FILE KEY NAME CONTEXT TEXT     writes a message under it
"""

import base64
import json
import sys
from pathlib import Path

from aws_encryption_sdk import Algorithm, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

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


class MasterKey(RawMasterKeyProvider):
    provider_id = "gatehouse/master-key"

    def _get_raw_key(self, key_id):
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=self.key,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def master_key(key, name):
    keys = MasterKey()
    keys.key = bytes.fromhex(key)
    keys.add_master_key(name)
    return keys


def opened_raw(file, key, name):
    plaintext, header = client.decrypt(source=Path(file).read_bytes(), key_provider=master_key(key, name))
    return {
        "plaintext": base64.b64encode(plaintext).decode(),
        "context": header.encryption_context,
        "suite": header.algorithm.name,
    }


def write_raw(file, key, name, context, text):
    message, _header = client.encrypt(
        source=text.encode(),
        key_provider=master_key(key, name),
        algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        encryption_context=json.loads(context),
    )
    Path(file).write_bytes(message)
    return {"bytes": len(message)}


actions = {"open": opened, "write": write, "open-raw": opened_raw, "write-raw": write_raw}
print(json.dumps(actions[sys.argv[1]](*sys.argv[2:])))
