import type { Forge, Person, Site } from '../forge';
import { GitHubApi } from './api.ts';
import { lastChangeOf } from './history.ts';
import { mainOf } from './main.ts';

/** GitHub, asked by its REST API. */
export class GitHub implements Forge {
  private readonly site: Site;

  constructor(site: Site) {
    this.site = site;
  }

  page(repository: string): string {
    return `${this.site.publicUrl}/${this.site.organization}/${repository}`;
  }

  folderPage(repository: string, folder: string): string {
    return `${this.page(repository)}/tree/main/${folder}`;
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
