import express from 'express';
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import type { KubernetesObject } from '../platform/cluster';
import type { Platform } from '../platform/platform';
import { limits } from './ask.ts';
import { routerOf, type Person } from './router.ts';

const key = 'nsk_platform_secret';
const people: Record<string, Person> = {
  ann: { ref: 'user:default/ann', ownership: ['user:default/ann', 'group:default/default'] },
  bob: { ref: 'user:default/bob', ownership: ['user:default/bob', 'group:default/team-b'] },
  guest: { ref: 'user:default/guest', ownership: ['user:default/guest'] },
};

const iris = (namespace: string, url = `https://iris-predictor.${namespace}.neuroscale.test`): KubernetesObject => ({
  metadata: {
    name: 'iris',
    namespace,
    annotations: { 'argocd.argoproj.io/tracking-id': 'iris:serving.kserve.io/InferenceService:x/iris' },
  },
  spec: { predictor: { minReplicas: 0, maxReplicas: 2, model: { modelFormat: { name: 'sklearn' } } } },
  status: {
    url,
    conditions: [{ type: 'Ready', status: 'True' }],
    components: { predictor: { latestReadyRevision: 'iris-predictor-00001' } },
  },
});

const application = (namespace: string): KubernetesObject => ({
  metadata: { name: 'iris', namespace: 'argocd' },
  spec: { destination: { namespace }, source: { repoURL: 'https://forge/acme/endpoints.git', path: 'apps/iris' } },
  status: { sync: { status: 'Synced' }, health: { status: 'Healthy' } },
});

let objects: Record<string, KubernetesObject | Error>;
let asked: { headers: IncomingMessage['headers']; url?: string; body: string }[];
let answer: (body: string) => { status: number; body: string } | Promise<{ status: number; body: string }>;
let gateway: Server;
let portal: Server;
let at: string;

// Where people ask the gateway may be no address of the portal's.
const outside = 'https://127.0.0.1:1';

const listen = (server: Server) => new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

before(async () => {
  gateway = createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += part;
    asked.push({ headers: req.headers, url: req.url, body });
    const { status, body: text } = await answer(body);
    res.writeHead(status).end(text);
  });
  await listen(gateway);
  const app = express();
  app.use(
    routerOf({
      platform: {
        gatewayUrl: outside,
        tenants: [{ namespace: 'default' }, { namespace: 'team-b' }],
        sizes: {},
      } as unknown as Platform,
      gateway: { url: urlOf(gateway), key },
      find: async path => {
        const found = objects[path];
        if (found instanceof Error) throw found;
        return found;
      },
      personOf: async req => {
        const person = people[req.header('authorization') ?? ''];
        if (!person) throw Object.assign(new Error('nobody'), { name: 'AuthenticationError' });
        return person;
      },
      lastChange: async (token, repository, path) => {
        if (token === 'refused') throw new Error('the forge does not know you any more');
        return { title: `${repository} ${path}`, author: token, when: '2030-01-02T03:04:05Z', url: 'https://forge' };
      },
      warn: () => {},
    }),
  );
  const statuses: Record<string, number> = {
    AuthenticationError: 401, NotAllowedError: 403, NotFoundError: 404, ConflictError: 409, InputError: 400, ServiceUnavailableError: 503,
  };
  app.use(((error, _req, res, _next) => {
    res.status(statuses[error.name] ?? 500).json({ error: error.message });
  }) as express.ErrorRequestHandler);
  portal = createServer(app);
  await listen(portal);
  at = urlOf(portal);
});

after(() => {
  gateway.close();
  portal.close();
});

const services = (namespace: string) => `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices/iris`;

beforeEach(() => {
  objects = {
    [services('default')]: iris('default'),
    [services('team-b')]: iris('team-b'),
    '/apis/serving.knative.dev/v1/namespaces/default/revisions/iris-predictor-00001': {
      metadata: { name: 'iris-predictor-00001', namespace: 'default' },
      status: { actualReplicas: 1 },
    },
    '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/iris': application('default'),
  };
  asked = [];
  answer = () => ({ status: 200, body: '{"predictions": [1, 1]}' });
});

async function send(who: string, path: string, body?: string, headers = {}) {
  const response = await fetch(at + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: who, 'content-type': 'application/json', ...headers },
    body,
  });
  const text = await response.text();
  assert.ok(!text.includes(key), 'the key is in an answer');
  return { status: response.status, body: JSON.parse(text) };
}

test('a member sees and tries an endpoint of the tenant', async () => {
  const facts = await send('ann', '/default/iris');
  assert.equal(facts.status, 200);
  assert.equal(facts.body.words, 'It answers');
  assert.equal(facts.body.replicas, '1 of 0 to 2');
  assert.match(facts.body.use.curl, /https:\/\/127\.0\.0\.1:1\/v1\/models\/iris:predict$/);
  assert.equal(facts.body.delivery.words, 'as Git says, well');
  const tried = await send('ann', '/default/iris/predict', '{"instances": [[1]]}');
  assert.deepEqual([tried.status, tried.body.status, tried.body.body], [200, 200, '{"predictions": [1, 1]}']);
  assert.ok(tried.body.milliseconds > 0);
  const [{ headers, url, body }] = asked;
  assert.equal(headers.host, 'iris-predictor.default.neuroscale.test');
  assert.equal(headers.authorization, `Bearer ${key}`);
  assert.equal(url, '/v1/models/iris:predict');
  assert.equal(body, '{"instances": [[1]]}');
});

test('nobody else sees, tries or learns of it: no other tenant, no guest, no stranger', async () => {
  delete objects[services('team-b')];
  for (const [who, path, status] of [
    ['bob', '/default/iris', 403],
    ['guest', '/default/iris', 403],
    ['nobody', '/default/iris', 401],
    ['ann', '/team-b/iris', 403],
    ['bob', '/default/another', 403],
    ['ann', '/kube-system/iris', 400],
    ['bob', '/team-b/iris', 404],
  ] as [string, string, number][]) {
    assert.equal((await send(who, path)).status, status, `${who} ${path}`);
    assert.equal((await send(who, `${path}/last-change`, undefined, { 'forge-token': 'x' })).status, status);
    assert.equal((await send(who, `${path}/predict`, '{}')).status, status);
  }
  assert.equal(asked.length, 0, 'the gateway was asked');
});

test('what the portal may open is asked of the own endpoint only, whatever its URL says', async () => {
  for (const url of ['https://iris-predictor.team-b.neuroscale.test', 'https://evil.test', 'https://other.default.neuroscale.test', 'x', undefined]) {
    objects[services('default')] = { ...iris('default'), status: { ...iris('default').status, url } };
    assert.equal((await send('ann', '/default/iris/predict', '{}')).status, 409, String(url));
  }
  for (const name of ['iris%2f..%2fother', 'iris%3fx=1', 'IRIS']) {
    assert.ok([400, 404].includes((await send('ann', `/default/${name}/predict`, '{}')).status), name);
  }
  assert.equal(asked.length, 0);
});

test('an Application of another namespace is not shown', async () => {
  objects['/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/iris'] = application('team-b');
  assert.equal((await send('ann', '/default/iris')).body.delivery, undefined);
  assert.equal((await send('ann', '/default/iris/last-change', undefined, { 'forge-token': 'x' })).body, null);
});

test('a page lacks what cannot be read, and nothing else', async () => {
  objects['/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/iris'] = new Error('forbidden');
  const { status, body } = await send('ann', '/default/iris');
  assert.equal(status, 200);
  assert.equal(body.delivery, undefined);
  assert.equal(body.replicas, '1 of 0 to 2');
});

test('the last change is asked for with the own token, and not at all without one', async () => {
  const { body } = await send('ann', '/default/iris/last-change', undefined, { 'forge-token': 'hers' });
  assert.deepEqual([body.title, body.author], ['endpoints apps/iris', 'hers']);
  assert.equal((await send('ann', '/default/iris/last-change')).body, null);
});

test('why the last change is not known is said', async () => {
  const { status, body } = await send('ann', '/default/iris/last-change', undefined, { 'forge-token': 'refused' });
  assert.deepEqual([status, body.error], [503, 'the forge does not know you any more']);
});

test('a question is JSON and small, an answer is cut, and what the model says is passed on', async () => {
  assert.match((await send('ann', '/default/iris/predict', '{')).body.error, /is no JSON/);
  assert.match((await send('ann', '/default/iris/predict', '')).body.error, /is no JSON/);
  for (const size of [limits.question, 40 * limits.question]) {
    assert.match((await send('ann', '/default/iris/predict', JSON.stringify('x'.repeat(size)))).body.error, /over 64 KiB/);
  }
  assert.equal(asked.length, 0);
  answer = () => ({ status: 400, body: '{"error": "expected text"}' });
  assert.deepEqual((await send('ann', '/default/iris/predict', '{}')).body.status, 400);
  answer = () => ({ status: 200, body: 'y'.repeat(limits.answer + 1) });
  const { body } = await send('ann', '/default/iris/predict', '{}');
  assert.deepEqual([body.body.length, body.cut], [limits.answer, true]);
});

test('a model that knew the key could not tell it', async () => {
  answer = () => ({ status: 200, body: `the key is ${key}` });
  assert.equal((await send('ann', '/default/iris/predict', '{}')).body.body, 'the key is (key)');
});

test('somebody has one try at a time, and another afterwards', async () => {
  let go = () => {};
  let arrived = () => {};
  const there = new Promise<void>(resolve => (arrived = resolve));
  answer = () => {
    arrived();
    return new Promise(resolve => (go = () => resolve({ status: 200, body: '{}' })));
  };
  const first = send('ann', '/default/iris/predict', '{}');
  await there;
  assert.equal((await send('ann', '/default/iris/predict', '{}')).status, 409);
  go();
  assert.equal((await first).status, 200);
  answer = () => ({ status: 200, body: '{}' });
  assert.equal((await send('ann', '/default/iris/predict', '{}')).status, 200);
  gateway.closeAllConnections();
});
