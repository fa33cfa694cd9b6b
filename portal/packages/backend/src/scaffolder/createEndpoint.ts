import { UserInfoService } from '@backstage/backend-plugin-api';
import { InputError, NotAllowedError } from '@backstage/errors';
import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import { Gitea } from '../forge/gitea';
import { propose } from '../forge/propose';
import { Platform, Tenant } from '../platform/platform';
import { Endpoint, problemsOf, valuesOf } from './endpoint';
import { render } from './skeleton';
import { costOf } from './cost';

/** The secret that the form fills with the person's token for the forge. */
export const tokenSecret = 'FORGE_TOKEN';

/** Checks what somebody asks for, makes its files and proposes them. */
export function createEndpointAction(platform: Platform, userInfo: UserInfoService) {
  return createTemplateAction({
    id: 'neuroscale:endpoint:create',
    description: 'Opens a pull request with a new endpoint, as the person who asks for it.',
    schema: {
      input: {
        tenant: z => z.string(),
        name: z => z.string(),
        modelFormat: z => z.string(),
        storageUri: z => z.string(),
        size: z => z.string(),
        minReplicas: z => z.number(),
        maxReplicas: z => z.number(),
      },
      output: {
        url: z => z.string(),
        number: z => z.number(),
      },
    },
    async handler(ctx) {
      const { tenant: namespace, ...endpoint } = ctx.input;
      const { ownershipEntityRefs } = await userInfo.getUserInfo(await ctx.getInitiatorCredentials());
      const tenant = tenantOf(platform, namespace, ownershipEntityRefs);
      const problems = problemsOf(platform, tenant, endpoint as Endpoint);
      if (problems.length > 0) {
        throw new InputError(problems.map(p => `${p.field} ${p.message}`).join('\n'));
      }
      const files = await render(platform.skeleton, valuesOf(platform, tenant, endpoint as Endpoint));
      const folder = `apps/${endpoint.name}`;
      if (ctx.isDryRun) {
        for (const [name, text] of files) ctx.logger.info(`${folder}/${name}:\n${text}`);
        return;
      }
      const token = ctx.secrets?.[tokenSecret];
      if (!token) throw new InputError('There is no token of yours for the forge: sign in with the forge, not as a guest');
      if (await new Gitea(platform.forge, token).has(tenant.repository, folder)) {
        throw new InputError(`name ${endpoint.name} is taken: ${tenant.repository} has a folder ${folder}. Write another one, or change that`);
      }
      ctx.logger.info(`Proposing ${folder} to ${tenant.repository}`);
      const pull = await propose(
        platform.forge,
        token,
        {
          repository: tenant.repository,
          topic: `add-${endpoint.name}`,
          title: `Add ${endpoint.name}`,
          text: costOf(platform, endpoint as Endpoint),
          files: new Map([...files].map(([name, text]) => [`${folder}/${name}`, text])),
        },
        await ctx.createTemporaryDirectory(),
      );
      ctx.logger.info(`Opened ${pull.url}`);
      ctx.output('url', pull.url);
      ctx.output('number', pull.number);
    },
  });
}

/** The tenant of a name or of a Group's reference, if the person belongs to it. */
export function tenantOf(platform: Platform, name: string, ownership: string[]): Tenant {
  const namespace = name.replace(/^group:default\//, '');
  const tenant = platform.tenants.find(each => each.namespace === namespace);
  if (!tenant) throw new InputError(`There is no tenant ${namespace}`);
  if (!ownership.includes(`group:default/${namespace}`)) {
    throw new NotAllowedError(`You are no member of tenant ${namespace}`);
  }
  return tenant;
}
