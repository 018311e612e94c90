import { z } from 'zod';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

const draft = 'https://json-schema.org/draft/2020-12/schema';

export interface JsonSchemaForm {
  readonly title: string;
  /** Whether the document must hold every required key by itself; a bootstrap config may have them from elsewhere. */
  readonly isComplete: boolean;
}

/** The JSON Schema (draft 2020-12) of a config as its author writes it, for editors and `gatehouse config schema`. */
export function jsonSchemaOf(schema: z.ZodType, { title, isComplete }: JsonSchemaForm): JsonSchema {
  const document = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      describe(jsonSchema);
      if (!isComplete) delete jsonSchema.required;
    },
  });
  const { $schema = draft, properties, ...rest } = document;
  const reference = { type: 'string' as const, description: 'For editors: where the schema is. Ignored.' };
  return { $schema, title, ...rest, properties: { $schema: reference, ...properties } };
}

/** JSON Schema has no words for our metadata, and strict validators refuse words they do not know. */
function describe(jsonSchema: JsonSchema): void {
  const { applies, unit, description } = jsonSchema;
  delete jsonSchema['applies'];
  delete jsonSchema['unit'];
  if (description === undefined) return;
  jsonSchema.description = [
    description,
    ...(typeof unit === 'string' ? [`Unit: ${unit}.`] : []),
    ...(applies === 'live' ? ['A change applies live.'] : []),
    ...(applies === 'restart' ? ['A change needs a restart.'] : []),
  ].join(' ');
}
