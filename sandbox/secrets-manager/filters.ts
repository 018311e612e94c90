import { list, required, structure, text } from '../constraints.ts';
import type { SecretRecord } from './state.ts';

export const filterList = list(
  structure({
    Key: required(
      text({
        oneOf: ['description', 'name', 'tag-key', 'tag-value', 'primary-region', 'owning-service', 'all'],
      }),
    ),
    Values: required(list(text({ max: 512, pattern: /^!?[a-zA-Z0-9 :_@/+=.\-!]*$/u }), { min: 1, max: 10 })),
  }),
  { max: 10 },
);

interface Filter {
  readonly Key: string;
  readonly Values: readonly string[];
}

/** Whether a secret passes all filters; a filter passes when one of its values does. */
export function matching(secret: SecretRecord, filters: readonly Filter[]): boolean {
  return filters.every(({ Key, Values }) =>
    Values.some((value) =>
      value.startsWith('!') ? !hasValue(secret, Key, value.slice(1)) : hasValue(secret, Key, value),
    ),
  );
}

function hasValue(secret: SecretRecord, key: string, value: string): boolean {
  const description = (secret.description ?? '').toLowerCase();
  const tags = [...secret.tags];
  switch (key) {
    case 'name':
      return secret.name.startsWith(value);
    case 'description':
      return description.startsWith(value.toLowerCase());
    case 'tag-key':
      return tags.some(([name]) => name.startsWith(value));
    case 'tag-value':
      return tags.some(([, tag]) => tag.startsWith(value));
    case 'all': {
      const words = value.toLowerCase().split(' ');
      const everything = [secret.name, description, ...tags.flat()].join(' ').toLowerCase();
      return words.every((word) => everything.includes(word));
    }
    default:
      // No secret here is a replica or another service's.
      return false;
  }
}
