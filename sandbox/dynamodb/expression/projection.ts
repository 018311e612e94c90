import type { AttributeValue, Item } from '../attribute-value.ts';
import { valueAt } from './evaluate.ts';
import type { Placeholders } from './placeholders.ts';
import { type Path, parse, pathObjection } from './syntax.ts';

/** @throws AwsError ValidationException */
export function parseProjection(expression: string, given: Placeholders): readonly Path[] {
  return parse('ProjectionExpression', expression, given, (syntax) => {
    const paths = [syntax.path()];
    while (syntax.accepts(',')) paths.push(syntax.path());
    const objection = pathObjection(paths);
    if (objection !== undefined) syntax.object(objection);
    return paths;
  });
}

/** What of an item lies at the paths, in its place; elements of lists move together. */
export function projected(item: Item, paths: readonly Path[]): Item {
  const present = paths.filter((path) => valueAt(path, item) !== undefined);
  const whole: AttributeValue = { type: 'M', value: item };
  const kept = keep(whole, present);
  return kept.type === 'M' ? kept.value : new Map();
}

function keep(value: AttributeValue, paths: readonly (readonly (string | number)[])[]): AttributeValue {
  if (paths.some((path) => path.length === 0)) return value;
  const under = (step: string | number) =>
    paths.filter(([first]) => first === step).map((path) => path.slice(1));
  if (value.type === 'M') {
    const members = [...value.value].flatMap(([name, member]): [string, AttributeValue][] => {
      const inner = under(name);
      return inner.length === 0 ? [] : [[name, keep(member, inner)]];
    });
    return { type: 'M', value: new Map(members) };
  }
  if (value.type === 'L') {
    const elements = value.value.flatMap((element, index) => {
      const inner = under(index);
      return inner.length === 0 ? [] : [keep(element, inner)];
    });
    return { type: 'L', value: elements };
  }
  return value;
}
