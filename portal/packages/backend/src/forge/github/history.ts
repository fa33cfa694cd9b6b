import type { LastChange } from '../forge';
import type { GitHubApi } from './api';

type Commit = {
  sha: string;
  html_url: string;
  commit: { message: string; author?: { name: string; date: string } };
  author?: { login: string } | null;
};

type Pull = { number: number; html_url: string; merged_at?: string | null; base: { ref: string }; merged_by?: { login: string } | null };

/** What changed a path of main last. Only of a single pull request GitHub says who merged it. */
export async function lastChangeOf(api: GitHubApi, at: string, path: string): Promise<LastChange | undefined> {
  const [commit] = await api.get<Commit[]>(`${at}/commits?sha=main&path=${encodeURIComponent(path)}&per_page=1`);
  if (!commit) return undefined;
  const pulls = await api.get<Pull[]>(`${at}/commits/${commit.sha}/pulls`);
  const found = pulls.find(each => each.merged_at && each.base.ref === 'main');
  const pull = found && (await api.get<Pull>(`${at}/pulls/${found.number}`));
  return {
    title: commit.commit.message.split('\n')[0],
    author: commit.author?.login ?? commit.commit.author?.name ?? 'somebody',
    when: commit.commit.author?.date ?? '',
    url: commit.html_url,
    merged: pull && { by: pull.merged_by?.login ?? 'somebody', number: pull.number, url: pull.html_url },
  };
}
