import { BackstageCredentials, LoggerService, UserInfoService } from '@backstage/backend-plugin-api';
import { InputError } from '@backstage/errors';
import { endpointsIn, folderOf } from '../forge/folders';
import { Change, Main } from '../forge/forge';
import { forgeAt } from '../forge/kinds';
import { tenantOf } from '../platform/membership';
import { Platform, Tenant } from '../platform/platform';

/** The secret that the form fills with the person's token for the forge. */
export const tokenSecret = 'FORGE_TOKEN';

/** What actions need of their context. */
type Context = {
  logger: LoggerService;
  secrets?: Record<string, string>;
  getInitiatorCredentials(): Promise<BackstageCredentials>;
  createTemporaryDirectory(): Promise<string>;
};

/** The tenant of that name, if who runs the task is a member. */
export async function tenantFor(ctx: Context, platform: Platform, userInfo: UserInfoService, name: string): Promise<Tenant> {
  const { ownershipEntityRefs } = await userInfo.getUserInfo(await ctx.getInitiatorCredentials());
  return tenantOf(platform, name, ownershipEntityRefs);
}

/** The tenant's repository as who runs the task may read it. */
export async function mainFor(ctx: Context, platform: Platform, tenant: Tenant): Promise<Main> {
  const token = ctx.secrets?.[tokenSecret];
  if (!token) throw new InputError('There is no token of yours for the forge: sign in with the forge, not as a guest, and fill in the form again');
  return forgeAt(platform.forge).as(token).main(tenant.repository, await ctx.createTemporaryDirectory());
}

/** The files of an endpoint that is in a repository, by their names in its folder. */
export async function filesOf(main: Main, name: string): Promise<Map<string, string | undefined>> {
  const names = await endpointsIn(main);
  if (!names.includes(name)) {
    throw new InputError(
      names.length > 0
        ? `name ${name} is unknown: ${main.repository} has ${names.join(', ')}`
        : `name ${name} is unknown: ${main.repository} has no endpoint`,
    );
  }
  const files = new Map<string, string | undefined>();
  for (const path of await main.paths(folderOf(name))) {
    files.set(path.split('/').slice(2).join('/'), await main.text(path));
  }
  return files;
}

/** Opens the pull request, and says so. */
export async function open(
  ctx: Context & { output(name: 'url' | 'number', value: string | number): void },
  main: Main,
  change: Change,
): Promise<void> {
  ctx.logger.info(`Proposing to ${main.repository}: ${change.title}`);
  const pull = await main.propose(change);
  ctx.logger.info(`Opened ${pull.url}`);
  ctx.output('url', pull.url);
  ctx.output('number', pull.number);
}
