import { type Change, isMade, proposedOtherwise, type Pull } from '../forge.ts';
import { type GitHubApi, isMissing, Refusal } from './api.ts';
import { textOf, treeOf } from './main.ts';

/** Milliseconds that GitHub may take to make a fork, and between looks for it. */
const forkPatience = 120_000;
const forkLook = 1000;

/** What a branch of somebody's is called after; the first as by `neuroscale new endpoint --propose`. */
const topics = { add: 'endpoint', change: 'change', remove: 'remove' };

type Found = { number: number; html_url: string; head: { sha: string } };

/**
 * Makes a branch of the repository, or of a fork if the person may not write there, and
 * opens a pull request of it. What was left of a try before is gone on with.
 */
export async function propose(
  api: GitHubApi,
  at: string,
  onto: { commit: string; tree: string },
  change: Change,
): Promise<Pull> {
  const { login } = await api.get<{ login: string }>('/user');
  const { owner, permissions } = await api.get<{ owner: { login: string }; permissions?: { push?: boolean } }>(at);
  const fork = permissions?.push ? undefined : await forkFor(api, at, login);
  // Of one person: nobody else's branch has that name.
  const branch = `${login}/${topics[change.kind]}/${change.name}`;
  const head = `${fork?.owner ?? owner.login}:${branch}`;
  const open = async () => {
    const query = new URLSearchParams({ state: 'open', base: 'main', head });
    const [found] = await api.get<Found[]>(`${at}/pulls?${query}`);
    if (!found) return undefined;
    const there = await treeOf(api, at, found.head.sha);
    if (await isMade(change, path => textOf(api, at, there, path))) return pullOf(found);
    throw proposedOtherwise(change, found.html_url);
  };
  const before = await open();
  if (before) return before;
  await push(api, fork?.at ?? at, branch, onto, change);
  try {
    return pullOf(await api.post<Found>(`${at}/pulls`, { title: change.title, body: change.text, head, base: 'main' }));
  } catch (error) {
    // Somebody else's try of the same, at the same time.
    const other = error instanceof Refusal && /already exists/.test(error.said) ? await open() : undefined;
    if (other) return other;
    throw error;
  }
}

const pullOf = (found: Found): Pull => ({ number: found.number, url: found.html_url });

/** A fork that has what main has now. */
async function forkFor(api: GitHubApi, at: string, login: string): Promise<{ owner: string; at: string }> {
  const made = await api
    .post<{ name: string; owner: { login: string } }>(`${at}/forks`, { default_branch_only: true })
    .catch(error => {
      throw error instanceof Refusal && [403, 404, 422].includes(error.status)
        ? new Error(`${login} may not write to ${at.slice('/repos/'.length)}, and GitHub makes no fork of it: ${error.said}. Ask its owners for the right to write, or to allow forks`)
        : error;
    });
  const fork = { owner: made.owner.login, at: `/repos/${made.owner.login}/${made.name}` };
  const until = Date.now() + forkPatience;
  for (;;) {
    try {
      await api.get(`${fork.at}/git/ref/heads/main`);
      break;
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (Date.now() > until) throw new Error(`GitHub has not made the fork ${fork.owner}/${made.name} within ${forkPatience / 1000} s: try again`);
      await new Promise(resolve => setTimeout(resolve, forkLook));
    }
  }
  await api.post(`${fork.at}/merge-upstream`, { branch: 'main' });
  return fork;
}

/** Makes a branch main and the change, whatever it was before. */
async function push(api: GitHubApi, at: string, branch: string, onto: { commit: string; tree: string }, change: Change): Promise<void> {
  const tree = await api.post<{ sha: string }>(`${at}/git/trees`, {
    base_tree: onto.tree,
    tree: [...change.files].map(([path, text]) =>
      text === undefined ? { path, mode: '100644', type: 'blob', sha: null } : { path, mode: '100644', type: 'blob', content: text },
    ),
  });
  const commit = await api.post<{ sha: string }>(`${at}/git/commits`, {
    message: `${change.title}\n\n${change.text}\n`,
    tree: tree.sha,
    parents: [onto.commit],
  });
  const ref = branch.split('/').map(encodeURIComponent).join('/');
  try {
    await api.patch(`${at}/git/refs/heads/${ref}`, { sha: commit.sha, force: true });
  } catch (error) {
    if (!isMissing(error) && !(error instanceof Refusal && /Reference does not exist/.test(error.said))) throw error;
    await api.post(`${at}/git/refs`, { ref: `refs/heads/${branch}`, sha: commit.sha });
  }
}
