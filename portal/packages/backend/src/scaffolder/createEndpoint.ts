import { UserInfoService } from '@backstage/backend-plugin-api';
import { InputError } from '@backstage/errors';
import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import { folderOf } from '../forge/folders';
import { Platform } from '../platform/platform';
import { mainFor, open, tenantFor } from './asker';
import { costOf } from './cost';
import { Endpoint, problemsOf, valuesOf } from './endpoint';
import { render, templatesIn } from './skeleton';

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
      const { tenant: namespace, ...asked } = ctx.input;
      const tenant = await tenantFor(ctx, platform, userInfo, namespace);
      const endpoint: Endpoint = asked;
      refuse(platform, tenant, endpoint);
      const files = render(await templatesIn(platform.skeleton), valuesOf(platform, tenant, endpoint));
      const folder = folderOf(endpoint.name);
      const main = await mainFor(ctx, platform, tenant);
      if ((await main.paths(folder)).length > 0) {
        throw new InputError(`name ${endpoint.name} is taken: ${tenant.repository} has a folder ${folder}. Write another one, or change that`);
      }
      await open(ctx, main, {
        kind: 'add',
        name: endpoint.name,
        title: `Add ${endpoint.name}`,
        text: costOf(platform, endpoint),
        files: new Map([...files].map(([name, text]) => [`${folder}/${name}`, text])),
      });
    },
  });
}

/** Throws a sentence for everything about an endpoint that its tenant may not have. */
export function refuse(...asked: Parameters<typeof problemsOf>): void {
  const problems = problemsOf(...asked);
  if (problems.length > 0) throw new InputError(problems.map(p => `${p.field} ${p.message}`).join('\n'));
}
