import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const keysErrors = {
  KEY_NOT_FOUND: {
    summary: 'the KMS key does not exist',
    remedy: 'Check the key ARN or alias, its account and its region.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_DISABLED: {
    summary: 'the KMS key is disabled',
    remedy: 'Enable the key (aws kms enable-key), or seal again under another key.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_PENDING_DELETION: {
    summary: 'the KMS key is scheduled for deletion',
    remedy:
      'Cancel the deletion (aws kms cancel-key-deletion, then enable-key) before its waiting period ends.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_UNUSABLE: {
    summary: 'the KMS key is in a state in which it cannot be used',
    remedy:
      'Look at the key state (aws kms describe-key); imported key material may have expired or be missing.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_MATERIAL_MISSING: {
    summary: 'the KMS key has no key material: it expired, was deleted, or was never imported',
    remedy:
      'Import the same material again: gatehouse kms import-key-material. Nothing under the key is lost.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_KIND_UNSUITABLE: {
    summary: 'the KMS key is of a kind that cannot be used for this',
    remedy:
      'Use a key with usage ENCRYPT_DECRYPT and spec SYMMETRIC_DEFAULT, or to bind a master key RSA_2048 to RSA_4096. Of an RSA key allow kms:DescribeKey, or kms:GetPublicKey: without either it is taken for a symmetric one.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_RSA_SEALS_NO_FILES: {
    summary: 'an RSA key wraps master keys and nothing else: KMS makes no data keys under it',
    remedy: 'Seal under the master key, without --wrap kms and --key-id, or name a symmetric KMS key.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_PUBLIC_KEY_UNUSABLE: {
    summary: 'the public key that KMS gave is no RSA key of 2048, 3072 or 4096 bits',
    remedy: 'Use an RSA key with usage ENCRYPT_DECRYPT and spec RSA_2048, RSA_3072 or RSA_4096.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_DENIED: {
    summary: 'KMS refuses this host the use of the key',
    remedy:
      'Allow the action named in the details in the key policy and in the role policy, for this context. Of an RSA key allow kms:DescribeKey, or kms:GetPublicKey: without either it is taken for a symmetric one.',
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 403,
  },
  KEY_CREDENTIALS_REFUSED: {
    summary: 'KMS does not accept the credentials of this host',
    remedy:
      'See gatehouse whoami; check that the credentials are current and that the clock of this host is right.',
    retry: true,
    exitCode: exitCode.refused,
  },
  KEY_THROTTLED: {
    summary: 'KMS asks for fewer calls',
    remedy: 'Nothing: it is tried again. If it lasts, ask for a higher KMS request quota.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  KEY_UNREACHABLE: {
    summary: 'KMS cannot be reached or does not answer as it should',
    remedy: 'Check the network path, proxy and VPC endpoint of KMS in the region named in the details.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  KEY_REQUEST_REFUSED: {
    summary: 'KMS refuses the request',
    remedy: 'Check the key identifier; the name of the refusal is among the causes.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_WRONG: {
    summary: 'the data was sealed under another key than the one given',
    remedy: 'Give the key it was sealed under, or name that key in keys.trustedKeys.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_NOT_TRUSTED: {
    summary: 'the data was sealed under keys that are not accepted here',
    remedy: 'Name one of the keys in the details as --key-id, or in keys.trustedKeys, if it is yours.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_CIPHERTEXT_REFUSED: {
    summary: 'KMS refuses a wrapped key: it is damaged, or it was wrapped with another context',
    remedy: 'Restore the data from a good copy; a copy made for another host or purpose never opens.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  KEY_MADE_MASTER_KEY_NOT: {
    summary: 'the KMS key was made, but the master key was not',
    remedy:
      'Mend what the details name, and go on with gatehouse master-key create --key-id and the ARN in the details, without --rsa.',
    retry: false,
    exitCode: exitCode.failed,
  },
  KEY_ALIAS_EXISTS: {
    summary: 'the alias stands for another key already',
    remedy: 'Choose another alias, or use the key that it stands for.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  KEY_MADE_PERHAPS: {
    summary: 'KMS was asked to make a key and did not answer: it may have made one',
    remedy:
      'Look for a key with the tag in the details, in some minutes once more. Use it, or have it deleted, before you run this again.',
    retry: false,
    exitCode: exitCode.unavailable,
  },
  KEY_MADE_UNFINISHED: {
    summary: 'the KMS key was made, but its alias or its rotation was not',
    remedy:
      'Do not run it again, which makes another key: mend what the details name, then aws kms create-alias and, unless its material is imported or it is RSA, aws kms enable-key-rotation with the ARN in the details. For a master key go on with gatehouse master-key create --key-id and that ARN.',
    retry: false,
    exitCode: exitCode.failed,
  },
  KEY_POLICY_INVALID: {
    summary: 'the key policy is no policy document',
    remedy: 'Correct what the details name; gatehouse kms create-key --dry-run prints one to start from.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  KEY_POLICY_REFUSED: {
    summary: 'KMS refuses the key policy',
    remedy: 'Check that every principal in it exists, and that it is a policy for one key (Resource "*").',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_POLICY_LOCKS_OUT: {
    summary: 'after this key policy its maker could not change it any more, perhaps nobody could',
    remedy:
      'Name yourself, your role or the account as --admin, or let a statement without a condition allow you kms:PutKeyPolicy.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_POLICY_LEAVES_OUT: {
    summary: 'under this key policy whoever makes the master key could not open it',
    remedy:
      'Run it under the role of the host, or name yourself as --user too; without --user the IAM policies of the account decide.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_DURABILITY_UNACCEPTED: {
    summary: 'whoever imports key material is responsible for keeping it: AWS cannot bring it back',
    remedy: 'Say that this is understood with --accept-durability, and keep a copy of the material offline.',
    retry: false,
    exitCode: exitCode.usage,
  },
  KEY_ORIGIN_UNSUITABLE: {
    summary: 'the KMS key takes no imported material',
    remedy: 'Use a key that was made for it: gatehouse kms create-key --external --accept-durability.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_ALIAS_NEEDED: {
    summary: 'a key is renewed under its alias, and none is named',
    remedy:
      'Name it: --alias alias/NAME, or keys.bindingKey in the gateway config, which is an alias for a key that is renewed.',
    retry: false,
    exitCode: exitCode.usage,
  },
  KEY_RENEWAL_UNTRUSTED: {
    summary:
      'the old key is not accepted any more once the alias stands for the new one, but things are under it',
    remedy:
      'Add the ARN in the details to keys.trustedKeys of the gateway config, and run it again: what is done stays done.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_MATERIAL_INVALID: {
    summary: 'this is no material for a KMS key of this kind',
    remedy:
      'Of a symmetric key make it with: openssl rand -out FILE 32. Of an RSA key: openssl genrsa -out FILE 2048, with the size of the key and without a passphrase.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  KEY_MATERIAL_OTHER: {
    summary: 'the KMS key had other material before, and takes that again and no other',
    remedy: 'Import the material it had; for other material the alias needs a new key: gatehouse kms renew.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_WRAPPING_UNSUITABLE: {
    summary: 'material of this kind is not wrapped so',
    remedy:
      'Leave --wrapping out, or use RSAES_OAEP_SHA_256 for a symmetric key and RSA_AES_KEY_WRAP_SHA_256 for an RSA key.',
    retry: false,
    exitCode: exitCode.usage,
  },
  KEY_IMPORT_TOKEN_EXPIRED: {
    summary: 'the import token is older than 24 hours',
    remedy:
      'Begin again with --download: token and wrapping key belong together, and so the material is wrapped again.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_IMPORT_REFUSED: {
    summary: 'KMS does not accept the wrapped material with this token',
    remedy:
      'Use the token and the wrapping key of one download, for this very key, and the same --wrapping in each step.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_IMPORT_PARAMETERS_MISSING: {
    summary: 'the folder does not hold the parameters of an import',
    remedy: 'Name the folder that --download wrote, or the unpacked archive of the console.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  KEY_IMPORT_PARAMETERS_INVALID: {
    summary: 'a file of the import’s parameters is damaged',
    remedy: 'Download the parameters again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  KEY_STORE_UNAVAILABLE: {
    summary: 'the custom key store of the KMS key is not connected',
    remedy: 'Look at its CloudHSM cluster, then connect it: aws kms connect-custom-key-store.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  MASTER_KEY_ABSENT: {
    summary: 'this host has no master key',
    remedy: 'Make one: gatehouse master-key create. Where its disk was lost: gatehouse master-key recover.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  MASTER_KEY_EXISTS: {
    summary: 'this host has a master key already',
    remedy:
      'To replace it use gatehouse master-key reencrypt; a second one would leave files that nothing opens.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  MASTER_KEY_HOST_UNNAMED: {
    summary: 'a master key belongs to a host that has a name of its own',
    remedy:
      'Set name in the bootstrap config, or GATEHOUSE_NAME: hostnames change, and autoscaling repeats them.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  MASTER_KEY_BINDING_MISSING: {
    summary: 'nothing says which KMS key is to wrap the master key',
    remedy: 'Name it: --key-id ID, or keys.bindingKey in the gateway config.',
    retry: false,
    exitCode: exitCode.usage,
  },
  MASTER_KEY_MISMATCH: {
    summary: 'the master key does not open the file: another host’s was used, or the file is damaged',
    remedy: 'Use a file that was sealed on this host; restore it from a good copy, or seal the secret again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  MASTER_KEY_GENERATION_UNKNOWN: {
    summary: 'the file is sealed under a generation of the master key that this host does not have',
    remedy:
      'Bring it back: gatehouse master-key recover, where the host has a registry, else your copy of master-key/*.wrapped. Or use a newer copy of the file. Without any, seal the secrets again: gatehouse seal --manifest.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  MASTER_KEY_DAMAGED: {
    summary: 'the wrapped master key opened, but does not hold a master key of a known form',
    remedy: 'Restore it from a copy of the state directory; a newer Gatehouse may have written it.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  MASTER_KEY_REPLACED: {
    summary:
      'the wrapped master key holds another key than was opened on this host before: somebody put it there',
    remedy:
      'Find out who wrote to the state directory. Put the wrapped key back from a copy; or move the folder master-key away, and use gatehouse master-key recover.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  MASTER_KEY_CHANGING: {
    summary: 'the master key is being changed',
    remedy:
      'Wait until it is done; see gatehouse master-key status. A change that was interrupted goes on with gatehouse master-key reencrypt.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  MASTER_KEY_NOT_CHANGING: {
    summary: 'no change of the master key is under way',
    remedy: 'Nothing is to be given up; see gatehouse master-key status.',
    retry: false,
    exitCode: exitCode.failed,
  },
  MASTER_KEY_FILES_LEFT: {
    summary: 'some files could not be brought under the new master key, so both generations stay',
    remedy:
      'Mend or restore each file listed and run gatehouse master-key reencrypt again; --forget FILE leaves one out for good.',
    retry: false,
    exitCode: exitCode.failed,
  },
  MASTER_KEY_GENERATIONS_LEFT: {
    summary: 'some generations of the master key do not open, and were left as they are',
    remedy:
      'What is sealed under the others is safe, and the rest was done. Mend what each says, or restore its wrapped key, and run the command again. Keep the KMS key that each is under until nothing is sealed under it.',
    retry: false,
    exitCode: exitCode.failed,
  },
  PASSWORD_WRONG: {
    summary: 'this is not the password of the master key',
    remedy:
      'Give the password that was set last. Without it the master key seals and opens, but is not changed.',
    retry: false,
    exitCode: exitCode.refused,
  },
  PASSWORD_MISSING: {
    summary: 'the password of the master key is needed, and there is no terminal to ask for it',
    remedy: 'Run it on a terminal, or name a file with --password-file.',
    retry: false,
    exitCode: exitCode.usage,
  },
  NEW_PASSWORD_MISSING: {
    summary: 'a new password is needed, and there is no terminal to ask for it',
    remedy: 'Run it on a terminal, or name a file with --new-password-file.',
    retry: false,
    exitCode: exitCode.usage,
  },
  PASSWORD_WEAK: {
    summary: 'the password would soon be guessed',
    remedy: 'Use a longer one, of several words that do not belong together.',
    retry: false,
    exitCode: exitCode.usage,
  },
  PASSWORDS_DIFFER: {
    summary: 'the two passwords are not the same',
    remedy: 'Type it again, twice the same.',
    retry: false,
    exitCode: exitCode.usage,
  },
  REGISTRY_TABLE_NAME_INVALID: {
    summary: 'this is no name of a DynamoDB table',
    remedy: 'Use 3 to 255 of A-Z a-z 0-9 . _ -, the name and not the ARN.',
    retry: false,
    exitCode: exitCode.usage,
  },
  REGISTRY_TABLE_UNNAMED: {
    summary: 'nothing says in which table the registry is',
    remedy: 'Name it: --table NAME, or keys.registryTable in the gateway config.',
    retry: false,
    exitCode: exitCode.usage,
  },
  REGISTRY_TABLE_MISSING: {
    summary: 'the registry’s table does not exist',
    remedy: 'Check its name, the region and the account; docs/keys.md says how to make it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  REGISTRY_TABLE_UNSUITABLE: {
    summary: 'the table is not one for a registry, or cannot be used now',
    remedy: 'It needs the partition key agent and the sort key item, both strings, and to be active.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  REGISTRY_DENIED: {
    summary: 'DynamoDB refuses this caller the registry',
    remedy:
      'Allow the action named in the details on the table, for the leading key that is this host’s name.',
    retry: false,
    exitCode: exitCode.refused,
  },
  REGISTRY_CREDENTIALS_REFUSED: {
    summary: 'DynamoDB does not accept the credentials of this host',
    remedy:
      'See gatehouse whoami; check that the credentials are current and that the clock of this host is right.',
    retry: true,
    exitCode: exitCode.refused,
  },
  REGISTRY_THROTTLED: {
    summary: 'DynamoDB asks for fewer calls',
    remedy: 'Try again. If it lasts, make the table on-demand.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  REGISTRY_UNREACHABLE: {
    summary: 'DynamoDB cannot be reached or does not answer as it should',
    remedy:
      'Check the network path, proxy and VPC endpoint of DynamoDB in this region. The master key is not changed without its registry.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  REGISTRY_REQUEST_REFUSED: {
    summary: 'DynamoDB refuses the request',
    remedy: 'The name of the refusal is among the causes.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  REGISTRY_LEASED: {
    summary: 'somebody else is changing the master key of this host',
    remedy:
      'Wait for who is named in the details; if that process died, its lease runs out at the time given.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  REGISTRY_CONTENDED: {
    summary: 'others write the registry’s entry of this host at the same time, again and again',
    remedy: 'Try again. If it lasts, look whether another host has the same name.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  REGISTRY_DISAGREES: {
    summary: 'registry and host do not have the same master key',
    remedy:
      'Two hosts may have the same name: give each its own. If this host was set up anew, use gatehouse master-key recover instead of create.',
    retry: false,
    exitCode: exitCode.refused,
  },
  REGISTRY_EMPTY: {
    summary: 'the registry has no master key of this host',
    remedy: 'Check the host’s name and the table; a master key that was never bound is in no registry.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  REGISTRY_DAMAGED: {
    summary: 'an entry of the registry is not one that Gatehouse wrote',
    remedy: 'Restore the table to an earlier time, or remove the entry of this host and bind again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  LEDGER_BUSY: {
    summary: 'another process keeps the records of the master key busy',
    remedy: 'Try again; if it lasts, look for a gatehouse command that hangs.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  LEDGER_UNWRITABLE: {
    summary: 'the records of the master key cannot be written: the disk is full or read-only',
    remedy: 'Free space or mount it writable, and run the command again: what was done stays done.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  LEDGER_UNUSABLE: {
    summary: 'the records of the master key cannot be used',
    remedy:
      'Check owner and mode of the file. If it is damaged, move it away: keys and sealed files do not need it, and gatehouse master-key reencrypt --also FOLDER finds the files again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_CONTEXT_MISMATCH: {
    summary: 'the sealed data is for another name, purpose, version or host',
    remedy: 'Use the file that was sealed for this use; the details name the pairs that differ.',
    retry: false,
    exitCode: exitCode.refused,
  },
  SEALED_DAMAGED: {
    summary: 'the sealed data is damaged, incomplete or forged',
    remedy: 'Restore it from a good copy, or seal the secret again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_FORMAT_UNKNOWN: {
    summary: 'the data is not a sealed file of this format',
    remedy:
      'Expected is an Encryption SDK message, version 2, suite 0x0478, framed, without signature, not base64.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_TOO_LARGE: {
    summary: 'the data is larger than what is sealed in one piece',
    remedy: 'Keep sealed files below the size in the details; they hold secrets, not archives.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
} as const satisfies ErrorTable;

export const keysError = errorsOf(keysErrors);
