import { type Forge, pageOf, type Person, type Site } from '../forge.ts';
import { GiteaApi } from './api.ts';
import { mainOf } from './main.ts';

/** Gitea in the cluster, which the portal reaches at another address than browsers. */
export class Gitea implements Forge {
  private readonly site: Site;

  constructor(site: Site) {
    this.site = site;
  }

  folderPage(repository: string, folder: string): string {
    return `${pageOf(this.site, repository)}/src/branch/main/${folder}`;
  }

  as(token: string): Person {
    const api = new GiteaApi(this.site, token);
    return {
      main: (repository, dir) => mainOf(this.site, api, token, repository, dir),
      lastChange: (repository, path) => api.lastChange(repository, path),
    };
  }
}
