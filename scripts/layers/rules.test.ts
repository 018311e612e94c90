import { describe, expect, test } from 'vitest';
import type { ReferenceKind } from './reference.ts';
import { unusedPermissions, violationsOf } from './rules.ts';

describe('what is refused', () => {
  test.each<[string, string, string, ReferenceKind?]>([
    ['base may not import from room', 'src/base/clock.ts', 'src/keys/sealer.ts'],
    ['base may not import from agent', 'src/base/clock.ts', 'src/agent/host.ts', 'type'],
    ['room may not import from agent', 'src/keys/sealer.ts', 'src/agent/host.ts'],
    ['room may not import from cli', 'src/api/control.ts', 'src/cli/cli.ts'],
    ['agent may not import from cli', 'src/agent/run.ts', 'src/cli/run.ts'],
    ['cli may not import from main', 'src/cli/run.ts', 'src/main.ts'],
    ['may not import from scripts/', 'src/cli/run.ts', 'scripts/build.ts'],
    ['rooms never import one another', 'src/secrets/cached.ts', 'src/keys/sealer.ts'],
    ['rooms never import one another', 'src/secrets/cached.ts', 'src/keys/sealer.ts', 'type'],
    ['rooms never import one another', 'src/secrets/cached.ts', 'src/keys/worker.ts', 'worker'],
    ['only tests may import from tests', 'src/agent/run.ts', 'test/support/fake-clock.ts'],
    ['only tests may import from tests', 'src/agent/run.ts', 'src/keys/sealer.contract.ts'],
    ['only tests may import from tests', 'scripts/build.ts', 'test/support/fake-clock.ts'],
    ['sandbox/ imports nothing', 'sandbox/kms.ts', 'src/base/clock.ts'],
    ['sandbox/ imports nothing', 'sandbox/kms.ts', 'src/base/clock.ts', 'type'],
    ['only cli/sandbox.ts', 'src/agent/run.ts', 'sandbox/serve.ts', 'dynamic'],
    ['only cli/sandbox.ts', 'src/cli/status.ts', 'sandbox/serve.ts', 'dynamic'],
    ['only be imported dynamically', 'src/cli/sandbox.ts', 'sandbox/serve.ts', 'static'],
    ['the AWS SDK is for', 'src/delivery/file.ts', '@aws-sdk/client-kms'],
    ['the AWS SDK is for', 'src/base/retry.ts', '@smithy/node-http-handler', 'type'],
    ['the AWS SDK is for', 'src/secrets/cached.ts', '@aws-crypto/client-node', 'dynamic'],
    ['yargs is for', 'src/agent/run.ts', 'yargs'],
    ['yargs is for', 'src/agent/run.ts', 'yargs/helpers', 'dynamic'],
    ['node:child_process is for', 'src/identity/helper.ts', 'node:child_process'],
    ['node:child_process is for', 'src/identity/helper.ts', 'child_process', 'dynamic'],
    ['node:child_process is for', 'src/cli/demo.ts', 'node:child_process'],
    ['process.env is read', 'src/agent/host.ts', 'process.env', 'env'],
    ['process.env is read', 'src/cli/launch.ts', 'process.env', 'env'],
    ['cannot be checked', 'src/agent/host.ts', 'name', 'computed'],
  ])('%s: %s → %s', (rule, file, target, kind = 'static') => {
    const violations = violationsOf([{ file, line: 1, kind, target }]);

    expect(violations.map((violation) => violation.rule)).toEqual([expect.stringContaining(rule)]);
  });
});

describe('what is allowed', () => {
  test.each<[string, string, ReferenceKind?]>([
    ['src/main.ts', 'src/cli/cli.ts', 'dynamic'],
    ['src/cli/run.ts', 'src/agent/run.ts', 'dynamic'],
    ['src/cli/run.ts', 'src/base/exit-code.ts'],
    ['src/cli/version.ts', 'package.json'],
    ['src/agent/run.ts', 'src/events/pipeline.ts'],
    ['src/agent/run.ts', 'src/agent/events-worker.ts', 'worker'],
    ['src/agent/aws-client.ts', '@smithy/node-http-handler'],
    ['src/events/pipeline.ts', 'src/events/sink/sink.ts'],
    ['src/events/sink/cloudwatch-logs.ts', '@aws-sdk/client-cloudwatch-logs'],
    ['src/secrets/cached.ts', 'src/base/clock.ts'],
    ['src/cli/sandbox.ts', 'sandbox/serve.ts', 'dynamic'],
    ['src/cli/demo.ts', 'sandbox/serve.ts', 'type'],
    ['src/main.ts', 'process.env', 'env'],
    ['src/system/command.ts', 'node:child_process'],
    ['sandbox/kms.ts', 'node:crypto'],
    ['scripts/generate-docs.ts', 'src/agent/errors.ts'],
    ['src/keys/sealer.test.ts', 'src/secrets/cached.ts'],
    ['src/keys/sealer.contract.ts', 'test/support/fake-clock.ts'],
    ['test/integration/run.test.ts', 'sandbox/serve.ts'],
  ])('%s → %s', (file, target, kind = 'static') => {
    expect(violationsOf([{ file, line: 1, kind, target }])).toEqual([]);
  });
});

describe('what is permitted to nobody', () => {
  const adapter = 'src/keys/aws-kms.ts';

  test.each<[string, string, string, ReferenceKind?]>([
    [adapter, 'an adapter that imports the AWS SDK', '@aws-sdk/client-kms'],
    [adapter, 'an adapter that imports its types', '@aws-sdk/client-kms', 'type'],
    ['src/system/command.ts', 'who starts processes', 'node:child_process'],
    ['src/cli/demo.ts', 'who reaches the sandbox', 'sandbox/serve.ts', 'dynamic'],
    ['src/main.ts', 'who reads the environment', 'process.env', 'env'],
  ])('%s: %s makes use of it', (file, _who, target, kind = 'static') => {
    const about = (text: string): boolean => text.startsWith(`${file} may`);

    expect(unusedPermissions([], []).filter(about)).toHaveLength(1);
    expect(
      unusedPermissions([], [{ file, line: 1, kind: 'static', target: 'node:fs' }]).filter(about),
    ).toHaveLength(1);
    expect(unusedPermissions([], [{ file, line: 1, kind, target }]).filter(about)).toEqual([]);
  });

  test.each([
    ['a room in which nothing lives', 'src/secrets/cached.ts', 1],
    ['a room in which something does', 'src/keys/sealer.ts', 0],
  ])('%s', (_what, file, complaints) => {
    const unused = unusedPermissions([file], []).filter((text) => text.startsWith('keys is a room'));

    expect(unused).toHaveLength(complaints);
  });
});
