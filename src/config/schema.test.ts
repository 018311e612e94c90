import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bootstrapConfig } from './config.ts';
import { exampleOf } from './example.ts';
import { jsonSchemaOf } from './schema.ts';

const schema = z.strictObject(bootstrapConfig);

describe('a JSON Schema', () => {
  it('describes each key with unit, default, examples and when a change applies', () => {
    const { properties } = jsonSchemaOf(schema, { title: 'Bootstrap', isComplete: false });

    expect(properties?.['stopTimeoutSeconds']).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 3600,
      default: 20,
      examples: [20],
      description: expect.stringMatching(
        /^How long a stop may take: intake, drain and close share this time\. .+\. Unit: seconds\. A change needs a restart\.$/u,
      ),
    });
  });

  it('allows $schema and nothing unknown', () => {
    expect(jsonSchemaOf(schema, { title: 'Bootstrap', isComplete: false })).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'Bootstrap',
      additionalProperties: false,
      properties: { $schema: { type: 'string' } },
    });
  });

  it('requires keys only of a document that must be complete', () => {
    const partial = JSON.stringify(jsonSchemaOf(schema, { title: 'x', isComplete: false }));
    const complete = jsonSchemaOf(schema, { title: 'x', isComplete: true });

    expect(partial).not.toContain('"required"');
    expect(complete.required).toEqual(['name', 'allow']);
  });
});

describe('an example', () => {
  it('is made of the first example of each key', () => {
    expect(
      exampleOf(schema, [['region'], ['gatewayConfig', 'secretName'], ['gatewayConfig', 'versionStage']]),
    ).toEqual({
      region: 'eu-west-1',
      gatewayConfig: { secretName: 'prod/gatehouse/web', versionStage: 'AWSCURRENT' },
    });
  });

  it('needs an example in the schema', () => {
    expect(() => exampleOf(schema, [['gatewayConfig']])).toThrow('no example of gatewayConfig');
  });
});
