import type { Forge, Site } from './forge';
import { Gitea } from './gitea/gitea.ts';
import { GitHub } from './github/github.ts';

const kinds = { gitea: Gitea, github: GitHub };

/** The forge that people's repositories are in. */
export function forgeAt(site: Site): Forge {
  return new kinds[site.provider](site);
}
