import type { Forge, Person, Site } from '../forge';
import { GiteaApi } from './api.ts';
import { mainOf } from './main.ts';

/** Gitea in the cluster, which the portal reaches at another address than browsers. */
export class Gitea implements Forge {
  private readonly site: Site;

  constructor(site: Site) {
    this.site = site;
  }

  page(repository: string): string {
    return `${this.site.publicUrl}/${this.site.organization}/${repository}`;
  }

  folderPage(repository: string, folder: string): string {
    return `${this.page(repository)}/src/branch/main/${folder}`;
  }

  as(token: string): Person {
    const api = new GiteaApi(this.site, token);
    return {
      main: (repository, dir) => mainOf(this.site, api, token, repository, dir),
      lastChange: (repository, path) => api.lastChange(repository, path),
    };
  }
}
