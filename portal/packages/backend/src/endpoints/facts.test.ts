import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../platform/cluster';
import type { Platform } from '../platform/platform';
import { factsOf } from './facts.ts';
import { curlOf, requestOf } from './request.ts';
import { conditionsOf, deliveryOf, replicasOf, revisionOf, wellbeingOf } from './words.ts';

const platform = {
  gatewayUrl: 'https://10.0.0.7:30080',
  sizes: { small: { requests: { cpu: '50m', memory: '256Mi' }, limits: { cpu: '1', memory: '512Mi' } } },
  prices: { currency: 'USD', monthly: { small: 3.5 } },
} as unknown as Platform;

function service(status: object, predictor: object = {}, more: object = {}): KubernetesObject {
  return { metadata: { name: 'iris', namespace: 'default', ...more }, spec: { predictor }, status };
}

const conditions = (...list: [string, string, string?, string?, string?][]) => ({
  conditions: list.map(([type, status, reason, message, severity]) => ({ type, status, reason, message, severity })),
});

test('how an endpoint is, is said by what explains it best', () => {
  for (const [status, more, well, words] of [
    [conditions(['Ready', 'True']), {}, true, 'It answers'],
    [conditions(['Ready', 'True']), { deletionTimestamp: 'now' }, false, 'It is being removed'],
    [conditions(['IngressReady', 'False', 'X', 'no ingress'], ['PredictorReady', 'False', 'RevisionFailed', 'no such image'], ['Ready', 'False']), {}, false, 'no such image'],
    [conditions(['IngressReady', 'Unknown', 'X', 'no ingress'], ['Ready', 'Unknown']), {}, false, 'no ingress'],
    [conditions(['Ready', 'False', 'RevisionMissing']), {}, false, 'Revision missing'],
    [conditions(['Stopped', 'False', 'Running', 'runs', 'Info'], ['Ready', 'Unknown']), {}, false, 'It does not answer yet'],
    [conditions(['Stopped', 'True', '', '', 'Info'], ['Ready', 'False']), {}, false, 'It was stopped'],
    [{ ...conditions(['PredictorReady', 'False', '', 'waiting'], ['Ready', 'False']), modelStatus: { lastFailureInfo: { message: 'no model at gs://a' } } }, {}, false, 'no model at gs://a'],
    [{ ...conditions(['Ready', 'True']), components: { predictor: { latestReadyRevision: 'a-1', latestCreatedRevision: 'a-2' } } }, {}, true, 'It answers, but its newest version does not yet'],
    [{}, {}, false, 'Nobody has looked at it yet'],
  ] as [object, object, boolean, string][]) {
    const found = wellbeingOf(service(status, {}, more));
    assert.deepEqual([found.well, found.words], [well, words]);
  }
});

test('each condition is a sentence of its own', () => {
  assert.deepEqual(
    conditionsOf(
      service(
        conditions(
          ['Ready', 'False'],
          ['PredictorReady', 'False', 'RevisionFailed', ' no such image '],
          ['IngressReady', 'Unknown'],
          ['LatestDeploymentReady', 'True', '', 'not shown'],
          ['SomethingNew', 'False', 'OutOfLuck'],
          ['Stopped', 'False', '', '', 'Info'],
          ['RoutesReady', 'False', '', 'x'.repeat(5000)],
        ),
      ),
    ),
    [
      { what: 'The model is served', well: false, words: 'no such image' },
      { what: 'Its URL leads to it', well: undefined, words: 'Nobody has said yet' },
      { what: 'The newest version is used', well: true, words: '' },
      { what: 'Something new', well: false, words: 'Out of luck' },
      { what: 'Requests reach every part', well: false, words: `${'x'.repeat(1000)}…` },
    ],
  );
});

test('replicas and revision are those that answer', () => {
  const revision = (actualReplicas?: number) => ({ metadata: { name: 'r', namespace: 'default' }, status: { actualReplicas } });
  for (const [predictor, found, want] of [
    [{ minReplicas: 1, maxReplicas: 2 }, revision(2), '2 of 1 to 2'],
    [{ minReplicas: 0, maxReplicas: 2 }, revision(), 'None runs: who asks next waits some seconds (0 to 2 as they are needed)'],
    [{ minReplicas: 2, maxReplicas: 2 }, revision(1), '1 of always 2'],
    [{}, revision(1), '1 of at least 1'],
    [{ minReplicas: 1, maxReplicas: 2 }, undefined, '1 to 2 as they are needed'],
  ] as [object, KubernetesObject | undefined, string][]) {
    assert.equal(replicasOf(service({}, predictor), found), want);
  }
  const components = (latestReadyRevision?: string, latestCreatedRevision?: string) =>
    revisionOf(service({ components: { predictor: { latestReadyRevision, latestCreatedRevision } } }));
  assert.equal(components('a-1', 'a-1'), 'a-1');
  assert.equal(components('a-1', 'a-2'), 'a-1; a-2 does not answer yet');
  assert.equal(components(undefined, 'a-2'), 'None yet: a-2 is on its way');
  assert.equal(components(), 'None yet');
});

test('Argo CD says whether it is as Git says, and why not', () => {
  const application = (status: object) => deliveryOf({ metadata: { name: 'iris', namespace: 'argocd' }, status });
  assert.deepEqual(application({ sync: { status: 'Synced', revision: 'abc' }, health: { status: 'Healthy' } }), {
    application: 'iris', well: true, words: 'as Git says, well', message: undefined, commit: 'abc',
  });
  const refused = application({
    sync: { status: 'OutOfSync' }, health: { status: 'Missing' }, operationState: { phase: 'Failed', message: 'admission webhook denied' },
  });
  assert.deepEqual([refused.well, refused.words, refused.message], [false, 'not as Git says, not there', 'admission webhook denied']);
  const broken = application({
    sync: { status: 'Synced' }, health: { status: 'Healthy' }, conditions: [{ type: 'ComparisonError', message: 'no such path' }],
  });
  assert.deepEqual([broken.well, broken.message], [false, 'no such path']);
  assert.equal(application({}).words, 'nobody knows whether as Git says, nobody knows whether well');
  const retried = application({ sync: { status: 'OutOfSync' }, health: { status: 'Progressing' }, operationState: { phase: 'Running', retryCount: 2, message: 'quota' } });
  assert.equal(retried.message, 'quota');
});

test('the line for a shell asks as the page does, and has no key in it', () => {
  const request = requestOf(service({ url: 'https://iris-predictor.default.neuroscale.test' }))!;
  assert.equal(
    curlOf('https://10.0.0.7:30080', true, request, '{"a": "it\'s"}'),
    [
      'curl --cacert "$(neuroscale ca)"',
      '-H @key.header',
      "-H 'Host: iris-predictor.default.neuroscale.test'",
      "-H 'Content-Type: application/json'",
      `-d '{"a": "it'\\''s"}'`,
      'https://10.0.0.7:30080/v1/models/iris:predict',
    ].join(' \\\n  '),
  );
  assert.doesNotMatch(curlOf('http://10.0.0.7:30080/', false, request, '{}'), /cacert|key|\/\/v1/);
  const v2 = requestOf(service({ url: 'https://iris.default.neuroscale.test' }, { model: { protocolVersion: 'v2' } }))!;
  assert.equal(v2.path, '/v2/models/iris/infer');
});

test('what an endpoint costs is what its size costs', () => {
  const resources = platform.sizes.small;
  const facts = (predictor: object) => factsOf(platform, true, { service: service({}, predictor) });
  const small = facts({ minReplicas: 0, maxReplicas: 2, model: { resources } });
  assert.deepEqual([small.cost, small.model.size], ['0.00 to 7.00 USD a month', 'small']);
  assert.equal(facts({ minReplicas: 2, maxReplicas: 2, model: { resources } }).cost, '7.00 USD a month');
  assert.equal(facts({ model: { resources } }).cost, 'from 3.50 USD a month');
  assert.match(facts({ model: { resources: {} } }).cost, /no size/);
  assert.equal(small.use, undefined, 'it has no URL');
});
