import type { Main } from '../forge';
import type { GitHubApi } from './api';
import { propose } from './propose.ts';

type Entry = { path: string; mode: string; type: string; sha: string };

/** What a commit has, by path. */
export type Tree = Map<string, Entry>;

const link = '120000';

/** The main branch of a repository. */
export async function mainOf(api: GitHubApi, at: string, repository: string): Promise<Main> {
  const { object } = await api.get<{ object: { sha: string } }>(`${at}/git/ref/heads/main`);
  const { tree } = await api.get<{ tree: { sha: string } }>(`${at}/git/commits/${object.sha}`);
  const entries = await treeOf(api, at, tree.sha);
  return {
    repository,
    async paths(folder) {
      const below = [...entries.values()].filter(each => each.type !== 'tree' && each.path.startsWith(`${folder}/`));
      return below.map(each => each.path).sort();
    },
    text: path => textOf(api, at, entries, path),
    propose: change => propose(api, at, { commit: object.sha, tree: tree.sha }, change),
  };
}

/** Everything that a tree or a commit has. */
export async function treeOf(api: GitHubApi, at: string, sha: string): Promise<Tree> {
  const found = await api.get<{ tree: Entry[]; truncated: boolean }>(`${at}/git/trees/${sha}?recursive=1`);
  if (found.truncated) throw new Error('The repository has more files than GitHub tells: have some removed, or propose by Git');
  return new Map(found.tree.map(each => [each.path, each]));
}

export async function textOf(api: GitHubApi, at: string, tree: Tree, path: string): Promise<string | undefined> {
  const entry = tree.get(path);
  if (entry?.type !== 'blob' || entry.mode === link) return undefined;
  const { content } = await api.get<{ content: string }>(`${at}/git/blobs/${entry.sha}`);
  return Buffer.from(content, 'base64').toString('utf8');
}
