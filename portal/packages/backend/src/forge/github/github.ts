import { type Forge, pageOf, type Person, type Site } from '../forge.ts';
import { GitHubApi } from './api.ts';
import { lastChangeOf } from './history.ts';
import { mainOf } from './main.ts';

/** GitHub, asked by its REST API. */
export class GitHub implements Forge {
  private readonly site: Site;

  constructor(site: Site) {
    this.site = site;
  }

  folderPage(repository: string, folder: string): string {
    return `${pageOf(this.site, repository)}/tree/main/${folder}`;
  }

  as(token: string): Person {
    const api = new GitHubApi(this.site.url, token);
    const at = (repository: string) => `/repos/${this.site.organization}/${repository}`;
    return {
      main: repository => mainOf(api, at(repository), repository),
      lastChange: (repository, path) => lastChangeOf(api, at(repository), path),
    };
  }
}
