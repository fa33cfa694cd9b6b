import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { problemsOf, valuesOf } from './endpoint.ts';
import { fill } from './skeleton.ts';

type Asked = {
  tenant: string;
  name: string;
  modelFormat: string;
  storageUri: string;
  size: string;
  minReplicas: number;
  maxReplicas: number;
  problems: number;
  files?: Record<string, string>;
};

// What internal/scaffold made of the same, in Go.
const golden = JSON.parse(readFileSync('packages/backend/src/scaffolder/testdata/endpoints.json', 'utf8'));

test('what the command refuses is refused, and what it renders is rendered byte by byte', () => {
  let rendered = 0;
  for (const asked of golden.endpoints as Asked[]) {
    const tenant = golden.tenants.find((t: { namespace: string }) => t.namespace === asked.tenant);
    const problems = problemsOf(golden, tenant, asked);
    assert.equal(problems.length, asked.problems, `${JSON.stringify(asked)}: ${JSON.stringify(problems)}`);
    if (asked.problems > 0) continue;
    const values = valuesOf(golden, tenant, asked);
    const files = Object.fromEntries(
      Object.entries(golden.templates as Record<string, string>).map(([name, text]) => [name, fill(text, values)]),
    );
    assert.deepEqual(files, asked.files, JSON.stringify(asked));
    rendered++;
  }
  assert.ok(rendered >= 200, `only ${rendered} were rendered at all`);
});

test('a value is never taken for a placeholder, and arrives as the value it is', () => {
  for (const value of ['${{ values.owner | dump }}', '{% raw %}', '"', "'\n- a: b", '\u2028', '$&', '\\', '\u0000']) {
    const text = fill('name: ${{ values.name | dump }}\n', { name: value, owner: 'x' });
    assert.equal(JSON.parse(text.slice('name: '.length)), value);
  }
});

test('a template with anything else than placeholders is refused', () => {
  for (const text of ['${{ values.name }}', '{% if a %}', '{# a #}', '${{ values.other | dump }}']) {
    assert.throws(() => fill(text, { name: 'x' }), /A template has/);
  }
});
