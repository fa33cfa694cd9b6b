import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { changeOfCost, costOf } from './cost.ts';
import { madeFor, type Files } from './made.ts';
import { unfill } from './skeleton.ts';

const golden = JSON.parse(readFileSync('packages/backend/src/scaffolder/testdata/endpoints.json', 'utf8'));
const templates = new Map<string, string>(Object.entries(golden.templates));
const file = 'inference-service.yaml';

type Asked = { tenant: string; problems: number; files: Record<string, string> };

const tenantOf = (asked: Asked) => golden.tenants.find((t: { namespace: string }) => t.namespace === asked.tenant);
const good: Asked[] = golden.endpoints.filter((e: Asked) => e.problems === 0);

test('what the command rendered is read again as what was asked for', () => {
  for (const asked of good) {
    const { tenant, problems, files, ...endpoint } = asked;
    assert.deepEqual(madeFor(golden, tenantOf(asked), templates, new Map(Object.entries(files))), endpoint);
  }
  assert.ok(good.length >= 200);
});

test('what somebody wrote by hand is never made again, and its file is named', () => {
  const [asked] = good;
  const text = asked.files[file];
  const with_ = (changed: string): Files => new Map([[file, changed]]);
  for (const [files, name, why] of [
    [with_(`# mine\n${text}`), file, /by hand/],
    [with_(text.replace('runAsUser: 1000', 'runAsUser: 1001')), file, /by hand/],
    [with_(`${text}\n`), file, /by hand/],
    [with_(text.replace('  predictor:\n', '  predictor:\n    timeout: 10\n')), file, /by hand/],
    [with_(text.replace(/maxReplicas: \d+/, 'maxReplicas: 1 # not more')), file, /by hand/],
    [with_(text.replace(/cpu: "50m"/, 'cpu: "51m"')), file, /no size/],
    [with_(text.replace(/cost-center: "[^"]*"/, 'cost-center: "another"')), file, /labels/],
    [new Map([[file, undefined]]), file, /is missing/],
    [new Map(), file, /is missing/],
    [new Map([[file, text], ['extra.yaml', 'a: b']]), 'extra.yaml', /added by hand/],
    [new Map([[file, text], ['sub/link', undefined]]), 'sub/link', /added by hand/],
  ] as [Files, string, RegExp][]) {
    const found = madeFor(golden, tenantOf(asked), templates, files);
    assert.ok('why' in found, JSON.stringify([...files]));
    assert.equal(found.file, name);
    assert.match(found.why, why);
  }
});

test('a value that is there twice has to be the same, and a half one is none', () => {
  const template = 'a: ${{ values.x | dump }}\nb: ${{ values.x | dump }}\n';
  assert.deepEqual(unfill(template, 'a: "1"\nb: "1"\n'), { x: '1' });
  for (const text of ['a: "1"\nb: "2"\n', 'a: "1\nb: "1\n', 'a: "\\x"\nb: "\\x"\n', 'a: 01\nb: 01\n', 'a: "1"\nb: "1"\nc: 1\n']) {
    assert.equal(unfill(template, text), undefined, text);
  }
});

test('a change of the price says what it was', () => {
  const platform = { prices: { currency: 'USD', monthly: { small: 2, large: 10 } } } as never;
  const before = { name: 'iris', modelFormat: 'sklearn', storageUri: 'gs://a/b', size: 'small', minReplicas: 0, maxReplicas: 2 };
  assert.equal(costOf(platform, before), 'iris costs 0.00 to 4.00 USD a month, from its fewest to its most replicas.');
  assert.equal(
    changeOfCost(platform, before, { ...before, size: 'large' }),
    'iris costs 0.00 to 20.00 USD a month, from its fewest to its most replicas; before, 0.00 to 4.00.',
  );
  assert.equal(changeOfCost(platform, before, { ...before, storageUri: 'gs://a/c' }), costOf(platform, before));
});
