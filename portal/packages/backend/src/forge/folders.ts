import type { Main } from './forge';

/** Folder of a tenant's repository whose folders are its endpoints. */
const apps = 'apps';

/** The folder of an endpoint. */
export const folderOf = (name: string) => `${apps}/${name}`;

/** Names of the endpoints' folders, sorted. */
export async function endpointsIn(main: Main): Promise<string[]> {
  const paths = await main.paths(apps);
  return [...new Set(paths.filter(path => path.split('/').length > 2).map(path => path.split('/')[1]))];
}
