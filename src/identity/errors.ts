import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';
import { rolesAnywhereErrors } from './roles-anywhere/errors.ts';

export const identityErrors = {
  CREDENTIALS_NOT_FOUND: {
    summary: 'no credential source applies on this host',
    remedy:
      'Give this host an identity: attach an instance role or a container role, or configure credentials.rolesAnywhere. The details say why each source was passed over.',
    retry: true,
    exitCode: exitCode.refused,
    httpStatus: 503,
  },
  CREDENTIALS_SOURCE_LOST: {
    summary: 'the credential source that answered before no longer applies',
    remedy:
      'Restore the source named in the details; the agent never changes to another identity while it runs.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  CREDENTIALS_EXPIRED: {
    summary: 'the credentials have expired and could not be renewed',
    remedy: 'Mend what the cause names; renewal is tried again until it succeeds.',
    retry: true,
    exitCode: exitCode.refused,
    httpStatus: 503,
  },
  CREDENTIALS_HANDED_OUT_EXPIRED: {
    summary: 'a credential source handed out credentials that have already expired',
    remedy: "Check this host's clock and the health of the source.",
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  CREDENTIALS_ENVIRONMENT_INVALID: {
    summary: 'the credentials in the environment are incomplete or malformed',
    remedy:
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together, with AWS_SESSION_TOKEN where they are temporary, or unset them all.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_ENDPOINT_REFUSED: {
    summary: 'the credential endpoint is not one that may be asked',
    remedy:
      'Use https, or plain http to a loopback or link-local address only: over any other network the credentials could be read.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_TOKEN_UNUSABLE: {
    summary: 'the token that proves who this workload is cannot be read or sent',
    remedy:
      'Check that the file named by AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_WEB_IDENTITY_TOKEN_FILE exists, is readable by the agent and holds one line.',
    retry: true,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_CONTAINER_UNREACHABLE: {
    summary: 'the container credential endpoint does not answer',
    remedy: 'Check that the ECS or EKS Pod Identity agent runs on this host and that the task has a network.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  CREDENTIALS_CONTAINER_REFUSED: {
    summary: 'the container credential endpoint refuses to give credentials',
    remedy:
      'On ECS, check that the task definition names a task role, whose trust policy allows ecs-tasks.amazonaws.com. On EKS, check that the service account has a Pod Identity association and that the trust policy of its role allows pods.eks.amazonaws.com. Elsewhere, check path and authorization token.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_METADATA_UNREACHABLE: {
    summary: 'the EC2 metadata service does not answer',
    remedy:
      'Check that this is an EC2 instance, that its metadata service is enabled and, in a container, that the hop limit is 2 or more.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  CREDENTIALS_METADATA_HOP_LIMIT: {
    summary: 'the EC2 metadata service does not answer inside this container',
    remedy:
      'Most likely the hop limit of the instance is 1, which keeps containers out: aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2. Better: give the container a role of its own.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  CREDENTIALS_METADATA_REFUSED: {
    summary: 'the EC2 metadata service refuses to answer',
    remedy: 'Check that version 2 of the metadata service is enabled and that no proxy stands before it.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_NO_ROLE: {
    summary: 'this instance has no role',
    remedy: 'Attach an instance profile with a role to the instance.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_DOCUMENT_INVALID: {
    summary: 'a credential endpoint answered something that is not credentials',
    remedy: 'Check what listens at the endpoint named in the details.',
    retry: true,
    exitCode: exitCode.damagedInput,
  },
  CREDENTIALS_REFUSED: {
    summary: 'AWS refuses to give credentials, or refuses those it gave',
    remedy:
      "Check the role's trust policy, the certificate, trust anchor and profile where Roles Anywhere is used, and this host's clock.",
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_ROLE_REFUSED: {
    summary: 'AWS does not let this host assume the role',
    remedy:
      "Name this host's role in the trust policy of the role, with the external id where it asks for one; allow this host sts:AssumeRole on it; and let its maximum session duration be no less than what is asked for.",
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 503,
  },
  CREDENTIALS_SESSION_POLICY_REFUSED: {
    summary: 'AWS refuses the session policy',
    remedy: 'Correct the policy: IAM Access Analyzer says what is wrong with it. Packed, it has a limit too.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 503,
  },
  CREDENTIALS_WEB_IDENTITY_INCOMPLETE: {
    summary: 'the environment names a web identity token but not the role it is for',
    remedy:
      'Set AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE, or unset both. On EKS, the service account needs the annotation eks.amazonaws.com/role-arn.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_WEB_TOKEN_EXPIRED: {
    summary: 'the web identity token has expired',
    remedy:
      'The platform that keeps the token file, on Kubernetes the kubelet, has to replace it: check that it still does.',
    retry: true,
    exitCode: exitCode.refused,
    httpStatus: 503,
  },
  CREDENTIALS_WEB_TOKEN_REFUSED: {
    summary: 'AWS refuses the role for this web identity token',
    remedy:
      "Check that the account has an IAM OpenID Connect provider for the token's issuer with its audience among the client ids, and that the role's trust policy lets this issuer, audience and subject assume it.",
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_PROFILE_MISSING: {
    summary: 'the AWS profile that was asked for does not exist',
    remedy: 'Correct AWS_PROFILE, or add the profile to the files named in the details.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_PROFILE_FILE_REFUSED: {
    summary: 'a file of AWS profiles may not be used',
    remedy:
      'Make it a file of at most 1 MiB that you or root own, that the agent can read and that neither its group nor everybody can write (chmod go-w): it can name programs to run.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_PROFILE_INVALID: {
    summary: 'the AWS profile does not lead to credentials',
    remedy: 'Correct the profile named in the details; the problem stands beside it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_PROCESS_NOT_STARTED: {
    summary: 'the credential_process of the profile could not be started',
    remedy:
      'Name its program by an absolute path, or one on the system PATH, that the agent may execute. No shell runs it: ~, $HOME and | are text.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_PROCESS_FAILED: {
    summary: 'the credential_process of the profile failed',
    remedy: 'Run its command by hand to see what it says; its output is never logged.',
    retry: true,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_PROCESS_TIMED_OUT: {
    summary: 'the credential_process of the profile took too long and was killed',
    remedy: 'Run its command by hand to see what it waits for.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  CREDENTIALS_PROCESS_OUTPUT_INVALID: {
    summary: 'the credential_process of the profile wrote something that is not credentials',
    remedy:
      'It must write one JSON object of version 1 of the credential_process format; the details name the fields that are missing or wrong.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  CREDENTIALS_SSO_FAILED: {
    summary: 'the single sign-on session of the profile cannot be used',
    remedy:
      'Sign in again: aws sso login (or aws login) with the profile named in the details. If that does not help, check its sso_region and the network.',
    retry: true,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_LONG_TERM: {
    summary: 'the credentials are long-term keys, which a host should not hold',
    remedy:
      'Give this host a role, or a certificate for Roles Anywhere: keys that do not expire are as good as stolen once they are copied.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_UNEXPECTED_IDENTITY: {
    summary: 'the credentials belong to another account or role than this host is pinned to',
    remedy:
      'Find out where they come from (gatehouse whoami), and mend that source; or correct credentials.expectAccountId and credentials.expectRoleName.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CREDENTIALS_NOT_CONFIGURED: {
    summary: 'the chosen credential source lacks its configuration',
    remedy: 'Add the section named in the details, or choose another credentials.source.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_HELPER_NOT_STARTED: {
    summary: 'the signing helper could not be started',
    remedy: 'Check that credentials.rolesAnywhere.helper names a program that the agent may execute.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CREDENTIALS_HELPER_FAILED: {
    summary: 'the signing helper failed',
    remedy: 'Run the helper by hand with the same arguments to see what it says; its output is never logged.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  CREDENTIALS_HELPER_TIMED_OUT: {
    summary: 'the signing helper took too long and was killed',
    remedy: 'Check that the Roles Anywhere endpoint can be reached from this host.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  CREDENTIALS_HELPER_OUTPUT_TOO_LARGE: {
    summary: 'the signing helper wrote more than credentials take and was killed',
    remedy: 'Check that credentials.rolesAnywhere.helper names the signing helper and not another program.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  CREDENTIALS_HELPER_NOT_JSON: {
    summary: 'the signing helper wrote something that is not JSON',
    remedy: 'Check that credentials.rolesAnywhere.helper names the signing helper and not another program.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  CREDENTIALS_HELPER_INCOMPLETE: {
    summary: 'the signing helper wrote JSON that is not version 1 of the credential_process format',
    remedy: 'Check the version of the signing helper; the details name the fields that are missing or wrong.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  CREDENTIALS_THROTTLED: {
    summary: 'AWS asks for fewer calls',
    remedy:
      'Nothing: the call is tried again later. Look for other callers of the same account if it persists.',
    retry: true,
    exitCode: exitCode.tryAgain,
    httpStatus: 503,
  },
  CREDENTIALS_STS_UNREACHABLE: {
    summary: 'AWS STS cannot be reached',
    remedy: "Check the network, the proxy settings and the VPC endpoint for STS of this host's region.",
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  ...rolesAnywhereErrors,
} as const satisfies ErrorTable;

export const identityError = errorsOf(identityErrors);
