import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folderOfEndpoint } from './application.ts';
import type { Platform } from './platform';

const platform = { tenants: [{ namespace: 'default' }, { namespace: 'team-b' }] } as Platform;

test('an endpoint is in the folder that its Application is called after', () => {
  for (const [namespace, id, want] of [
    ['default', 'ai-model-alpha:serving.kserve.io/InferenceService:default/sklearn-iris', 'ai-model-alpha'],
    ['default', 'default.more-x:serving.kserve.io/InferenceService:default/x', undefined],
    ['team-b', 'team-b-iris:serving.kserve.io/InferenceService:team-b/iris', 'iris'],
    ['team-b', 'team-b.more-iris:serving.kserve.io/InferenceService:team-b/iris', undefined],
    ['team-b', 'iris:serving.kserve.io/InferenceService:team-b/iris', undefined],
    ['default', undefined, undefined],
    ['default', '', undefined],
  ] as [string, string | undefined, string | undefined][]) {
    const annotations = id === undefined ? undefined : { 'argocd.argoproj.io/tracking-id': id };
    assert.equal(folderOfEndpoint(platform, { metadata: { name: 'x', namespace, annotations } }), want, String(id));
  }
});
