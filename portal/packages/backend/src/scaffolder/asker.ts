import { BackstageCredentials, LoggerService, UserInfoService } from '@backstage/backend-plugin-api';
import { InputError } from '@backstage/errors';
import { Checkout } from '../forge/checkout';
import { Change, propose } from '../forge/propose';
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
export async function checkoutFor(ctx: Context, platform: Platform, tenant: Tenant): Promise<Checkout> {
  const token = ctx.secrets?.[tokenSecret];
  if (!token) throw new InputError('There is no token of yours for the forge: sign in with the forge, not as a guest');
  return Checkout.of(platform.forge, token, tenant.repository, await ctx.createTemporaryDirectory());
}

/** The files of an endpoint that is in a repository, by their names in its folder. */
export async function filesOf(checkout: Checkout, name: string): Promise<Map<string, string | undefined>> {
  const names = await checkout.names();
  if (!names.includes(name)) {
    throw new InputError(
      names.length > 0
        ? `name ${name} is unknown: ${checkout.repository} has ${names.join(', ')}`
        : `name ${name} is unknown: ${checkout.repository} has no endpoint`,
    );
  }
  const files = new Map<string, string | undefined>();
  for (const path of await checkout.paths(name)) {
    files.set(path.split('/').slice(2).join('/'), await checkout.text(path));
  }
  return files;
}

/** Opens the pull request, and says so. */
export async function open(
  ctx: Context & { output(name: 'url' | 'number', value: string | number): void },
  checkout: Checkout,
  change: Change,
): Promise<void> {
  ctx.logger.info(`Proposing to ${checkout.repository}: ${change.title}`);
  const pull = await propose(checkout, change);
  ctx.logger.info(`Opened ${pull.url}`);
  ctx.output('url', pull.url);
  ctx.output('number', pull.number);
}
