import { integer, list, read, required, structure, text } from '../constraints.ts';
import { page } from '../page.ts';
import { AwsError, type Operation } from '../service.ts';
import { addTags, tagsMax } from '../tags.ts';
import { authorizeKey } from './access.ts';
import { invalidMarker, keyIdentifier, marker } from './members.ts';
import { assertNotPendingDeletion, type KmsState, keyById } from './state.ts';

const tagKey = text({ min: 1, max: 128 });

export const tagList = list(
  structure({ TagKey: required(tagKey), TagValue: required(text({ min: 0, max: 256 })) }),
);

interface Tag {
  readonly TagKey: string;
  readonly TagValue: string;
}

/** Adds tags to `tags` and returns it. @throws AwsError TagException or LimitExceededException */
export function tagged(tags: Map<string, string>, added: readonly Tag[]): Map<string, string> {
  const pairs = added.map(({ TagKey, TagValue }) => [TagKey, TagValue] as const);
  return addTags(
    tags,
    pairs,
    (what, message) => new AwsError(what === 'tag' ? 'TagException' : 'LimitExceededException', message),
  );
}

export const tagOperations = {
  TagResource(input, state, context) {
    const { KeyId, Tags } = read({ KeyId: required(keyIdentifier), Tags: required(tagList) }, input);
    const record = keyById(KeyId, state, context);
    authorizeKey('TagResource', record, state, context, { keys: tagKeys(Tags.map(({ TagKey }) => TagKey)) });
    assertNotPendingDeletion(record);
    tagged(record.tags, Tags);
    return undefined;
  },

  UntagResource(input, state, context) {
    const { KeyId, TagKeys } = read(
      { KeyId: required(keyIdentifier), TagKeys: required(list(tagKey)) },
      input,
    );
    const record = keyById(KeyId, state, context);
    authorizeKey('UntagResource', record, state, context, { keys: tagKeys(TagKeys) });
    assertNotPendingDeletion(record);
    for (const name of TagKeys) record.tags.delete(name);
    return undefined;
  },

  ListResourceTags(input, state, context) {
    const { KeyId, Limit, Marker } = read(
      { KeyId: required(keyIdentifier), Limit: integer({ min: 1, max: 1000 }), Marker: marker },
      input,
    );
    const record = keyById(KeyId, state, context);
    authorizeKey('ListResourceTags', record, state, context);
    const tags = [...record.tags];
    const { items, next } = page(tags, ([name]) => name, Limit ?? tagsMax, Marker, invalidMarker);
    return {
      Tags: items.map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
      Truncated: next !== undefined,
      NextMarker: next,
    };
  },
} as const satisfies Record<string, Operation<KmsState>>;

function tagKeys(names: readonly string[]): Record<string, readonly string[]> {
  return { 'aws:TagKeys': names };
}
