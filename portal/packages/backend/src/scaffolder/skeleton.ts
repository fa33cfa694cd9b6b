import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type Values = Record<string, string | number>;

/** The only thing that a template may have beside text; internal/scaffold knows the same. */
const placeholder = /\$\{\{ values\.([A-Za-z]+) \| dump \}\}/g;
const tags = ['${{', '}}', '{%', '%}', '{#', '#}'];

/** Replaces each placeholder of a template by its value as JSON, which YAML reads as just that. */
export function fill(template: string, values: Values): string {
  const text = template.replace(placeholder, '');
  const tag = tags.find(each => text.includes(each));
  if (tag) throw new Error(`A template has ${tag}: a placeholder is written \${{ values.NAME | dump }}`);
  return template.replace(placeholder, (found, name: string) => {
    if (!Object.hasOwn(values, name)) throw new Error(`A template has ${found}, but there is no value ${name}`);
    return dump(values[name]);
  });
}

/** JSON as Go writes it: two characters that end lines in JavaScript are escaped. */
function dump(value: string | number): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, c => `\\u${c.charCodeAt(0).toString(16)}`);
}

/** The values that fill made a text of a template with; undefined if it did not. */
export function unfill(template: string, text: string): Values | undefined {
  const names: string[] = [];
  const literals = template.split(placeholder).filter((_, i) => i % 2 === 0);
  for (const [, name] of template.matchAll(placeholder)) names.push(name);
  const escaped = literals.map(each => each.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const found = new RegExp(`^${escaped.join('("(?:[^"\\\\\\n]|\\\\.)*"|-?[0-9]+)')}$`).exec(text);
  if (!found) return undefined;
  const values: Values = {};
  try {
    names.forEach((name, i) => {
      values[name] = JSON.parse(found[i + 1]);
    });
  } catch {
    return undefined;
  }
  // A value that is in the text twice has to be the same.
  return fill(template, values) === text ? values : undefined;
}

/** The templates of an endpoint's files, by their name. */
export async function templatesIn(folder: string): Promise<Map<string, string>> {
  const templates = new Map<string, string>();
  // A ConfigMap's folder has hidden ones for Kubernetes' own use.
  for (const name of (await readdir(folder)).filter(each => !each.startsWith('.')).sort()) {
    templates.set(name, await readFile(join(folder, name), 'utf8'));
  }
  if (templates.size === 0) throw new Error(`There are no templates of an endpoint in ${folder}`);
  return templates;
}

/** The files of an endpoint, by name. */
export function render(templates: Map<string, string>, values: Values): Map<string, string> {
  return new Map([...templates].map(([name, text]) => [name, fill(text, values)]));
}
