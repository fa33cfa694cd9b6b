import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Change } from '../forge';
import { endpointsIn } from '../folders.ts';
import { GitHub } from './github.ts';
import { StandIn } from './stand-in.ts';

let hub: StandIn;
let url: string;

beforeEach(async () => {
  hub = new StandIn({ 'README.md': 'hello', 'apps/old/a.yaml': 'old', 'apps/old/b.yaml': 'b', 'apps/link': '->/etc' });
  url = await hub.start();
});

afterEach(() => hub.stop());

const github = () => new GitHub({ provider: 'github', publicUrl: 'https://github.com', url, organization: 'acme' });
const as = (token: string) => github().as(token);

const adding = (text: string): Change => ({
  kind: 'add',
  name: 'iris',
  title: 'Add iris',
  text: 'iris costs 1 USD',
  files: new Map([['apps/iris/a.yaml', text]]),
});

const propose = async (token: string, change: Change) => (await as(token).main('endpoints', '')).propose(change);

test('what is on main is read, and a link in it leads nowhere', async () => {
  const main = await as('bobs').main('endpoints', '');
  assert.deepEqual(await endpointsIn(main), ['old']);
  assert.deepEqual(await main.paths('apps/old'), ['apps/old/a.yaml', 'apps/old/b.yaml']);
  assert.equal(await main.text('apps/old/a.yaml'), 'old');
  assert.equal(await main.text('apps/link'), undefined);
  assert.equal(await main.text('apps/none'), undefined);
});

test('people are sent to pages that GitHub has', () => {
  assert.equal(github().folderPage('endpoints', 'apps/old'), 'https://github.com/acme/endpoints/tree/main/apps/old');
});

test('who may write proposes by a branch as the command does, on top of what was read', async () => {
  assert.deepEqual(await propose('anns', adding('one')), { number: 1, url: 'https://github.com/acme/endpoints/pull/1' });
  const [pull] = hub.pulls;
  assert.deepEqual([pull.head, pull.base, pull.title, pull.body], ['acme:ann/endpoint/iris', 'main', 'Add iris', 'iris costs 1 USD']);
  assert.deepEqual(hub.filesOf(pull.head), { 'README.md': 'hello', 'apps/old/a.yaml': 'old', 'apps/old/b.yaml': 'b', 'apps/link': '->/etc', 'apps/iris/a.yaml': 'one' });
  assert.deepEqual(hub.commits.get(hub.branches.get(pull.head)!)!.parents, ['m0']);
});

test('who may not write proposes by a fork, also when that is not there at once', async () => {
  hub.instead.set('GET /repos/bob/endpoints/git/ref/heads/main', [{ status: 404 }, { status: 409 }]);
  await propose('bobs', adding('one'));
  assert.equal(hub.pulls[0].head, 'bob:bob/endpoint/iris');
  assert.equal(hub.branches.has('acme:bob/endpoint/iris'), false);
});

test('a removal takes the files of the folder and nothing else', async () => {
  const files = new Map([['apps/old/a.yaml', undefined], ['apps/old/b.yaml', undefined]]);
  await propose('anns', { ...adding(''), kind: 'remove', name: 'old', title: 'Remove old', files });
  assert.equal(hub.pulls[0].head, 'acme:ann/remove/old');
  assert.deepEqual(hub.filesOf('acme:ann/remove/old'), { 'README.md': 'hello', 'apps/link': '->/etc' });
});

test('done again it is the same pull request, and nobody loses one that says something else', async () => {
  const first = await propose('anns', adding('one'));
  assert.deepEqual(await propose('anns', adding('one')), first);
  await assert.rejects(propose('anns', adding('two')), /proposed something else as Add iris: merge or close https:\S+\/pull\/1/);
  assert.equal(hub.filesOf('acme:ann/endpoint/iris')['apps/iris/a.yaml'], 'one');
  assert.equal(hub.pulls.length, 1);
  hub.pulls[0].state = 'closed';
  await propose('anns', adding('two'));
  assert.equal(hub.filesOf('acme:ann/endpoint/iris')['apps/iris/a.yaml'], 'two');
});

test('a try that ended in between is gone on with', async () => {
  for (const request of ['POST /repos/acme/endpoints/git/commits', 'POST /repos/acme/endpoints/git/refs', 'POST /repos/acme/endpoints/pulls']) {
    hub.instead.set(request, [{ status: 502 }]);
    await assert.rejects(propose('anns', adding('one')), /GitHub answers 502: .*Try again, nothing was lost/);
  }
  await propose('anns', adding('one'));
  assert.equal(hub.pulls.length, 1);
});

test('two tries at the same time are one pull request', async () => {
  hub.instead.set('GET /repos/acme/endpoints/pulls', [{ status: 200, body: [] }, { status: 200, body: [] }]);
  const first = await propose('anns', adding('one'));
  assert.deepEqual(await propose('anns', adding('one')), first);
});

const says: [string, string, string, Record<string, any>][] = [
  ['nobodys', 'GET /nothing', 'GitHub does not know you any more, your token was revoked or has expired: sign out', {}],
  ['anns', 'POST /repos/acme/endpoints/git/trees', 'organization, which signs people in by itself: allow it at https://github.com/orgs/acme/sso and', {
    status: 403, headers: { 'x-github-sso': 'required; url=https://github.com/orgs/acme/sso' }, body: { message: 'Resource protected by organization SAML enforcement.' },
  }],
  ['anns', 'GET /repos/acme/endpoints/git/ref/heads/main', 'lets no OAuth App in that none of its owners has approved', {
    status: 403, body: { message: 'Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions' },
  }],
  ['anns', 'POST /repos/acme/endpoints/pulls', 'has not the scope repo: sign out, sign in', {
    status: 403, headers: { 'x-accepted-oauth-scopes': 'repo', 'x-oauth-scopes': 'read:user' }, body: { message: 'Must have admin rights' },
  }],
  ['anns', 'POST /repos/acme/endpoints/pulls', 'does not let you do that in acme/endpoints: Repository was archived', {
    status: 403, headers: { 'x-accepted-oauth-scopes': 'repo', 'x-oauth-scopes': 'repo' }, body: { message: 'Repository was archived' },
  }],
  ['anns', 'GET /repos/acme/endpoints/git/ref/heads/main', 'acme/endpoints is not there, or GitHub does not let you do that there', { status: 404, body: { message: 'Not Found' } }],
  ['anns', 'GET /repos/acme/endpoints/git/ref/heads/main', 'acme/endpoints has another name on GitHub now', { status: 301 }],
  ['anns', 'POST /repos/acme/endpoints/pulls', 'GitHub does not take it: Validation Failed, No commits between main and x', {
    status: 422, body: { message: 'Validation Failed', errors: [{ resource: 'PullRequest', code: 'custom', message: 'No commits between main and x' }] },
  }],
  ['bobs', 'POST /repos/acme/endpoints/forks', 'bob may not write to acme/endpoints, and GitHub makes no fork of it: Forking is disabled', { status: 403, body: { message: 'Forking is disabled' } }],
  ['anns', 'POST /repos/acme/endpoints/pulls', 'no more requests of yours until 2', {
    status: 403,
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Date.UTC(2099, 0, 1, 23) / 1000) },
    body: { message: 'API rate limit exceeded' },
  }],
  ['anns', 'POST /repos/acme/endpoints/git/commits', 'no more requests of yours until', { status: 429, headers: { 'retry-after': '61' } }],
];

for (const [token, request, sentence, answer] of says) {
  test(`why nothing was proposed is said in a sentence: ${sentence}`, async () => {
    hub.instead.set(request, [answer as never]);
    await assert.rejects(propose(token, adding('one')), (error: Error) => {
      assert.ok(error.message.includes(sentence), error.message);
      assert.ok(!error.message.includes(token), 'a token is told');
      return true;
    });
    assert.equal(hub.pulls.length, 0);
  });
}

test('a short limit is waited for', async () => {
  hub.instead.set('POST /repos/acme/endpoints/pulls', [{ status: 403, headers: { 'retry-after': '1' }, body: { message: 'You have exceeded a secondary rate limit.' } }]);
  const before = Date.now();
  assert.equal((await propose('anns', adding('one'))).number, 1);
  assert.ok(Date.now() - before >= 1000);
});

test('a GitHub that is not reached is said', async () => {
  hub.stop();
  await assert.rejects(propose('anns', adding('one')), /GitHub does not answer: .+ Try again, nothing was lost/);
});

test('whose the last change is and who merged it is told with links', async () => {
  const at = '/repos/acme/endpoints';
  const commit = { sha: 'c9', html_url: 'https://github.com/acme/endpoints/commit/c9', commit: { message: 'Add iris\n\nmore', author: { name: 'Ann', date: '2026-01-02T03:04:05Z' } }, author: { login: 'ann' } };
  const merged = { number: 7, html_url: 'https://github.com/acme/endpoints/pull/7', merged_at: '2026-01-02T03:04:06Z', base: { ref: 'main' } };
  const lists = (found: object[], pulls: object[]) => {
    hub.instead.set(`GET ${at}/commits`, [{ status: 200, body: found }]);
    hub.instead.set(`GET ${at}/commits/c9/pulls`, [{ status: 200, body: pulls }]);
    hub.instead.set(`GET ${at}/pulls/7`, [{ status: 200, body: { ...merged, merged_by: { login: 'bob' } } }]);
  };
  const last = () => as('anns').lastChange('endpoints', 'apps/iris');
  const change = { title: 'Add iris', author: 'ann', when: '2026-01-02T03:04:05Z', url: commit.html_url };
  lists([commit], [{ ...merged, number: 8, merged_at: null }, merged]);
  assert.deepEqual(await last(), { ...change, merged: { by: 'bob', number: 7, url: merged.html_url } });
  lists([{ ...commit, author: null }], []);
  assert.deepEqual(await last(), { ...change, author: 'Ann', merged: undefined });
  lists([], []);
  assert.equal(await last(), undefined);
});
