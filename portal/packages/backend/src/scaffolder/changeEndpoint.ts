import { UserInfoService } from '@backstage/backend-plugin-api';
import { InputError } from '@backstage/errors';
import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import { folderOf } from '../forge/folders';
import { forgeAt } from '../forge/kinds';
import { Platform } from '../platform/platform';
import { filesOf, mainFor, open, tenantFor } from './asker';
import { changeOfCost } from './cost';
import { refuse } from './createEndpoint';
import { Endpoint, valuesOf } from './endpoint';
import { madeFor } from './made';
import { render, templatesIn } from './skeleton';

/** Makes the files of an endpoint again with what somebody wants otherwise, and proposes them. */
export function changeEndpointAction(platform: Platform, userInfo: UserInfoService) {
  return createTemplateAction({
    id: 'neuroscale:endpoint:change',
    description: 'Opens a pull request that changes an endpoint, as the person who asks for it. What is left out stays as it is.',
    schema: {
      input: {
        tenant: z => z.string(),
        name: z => z.string(),
        modelFormat: z => z.string().optional(),
        storageUri: z => z.string().optional(),
        size: z => z.string().optional(),
        minReplicas: z => z.number().optional(),
        maxReplicas: z => z.number().optional(),
      },
      output: {
        url: z => z.string(),
        number: z => z.number(),
      },
    },
    async handler(ctx) {
      const { tenant: namespace, name, ...asked } = ctx.input;
      const tenant = await tenantFor(ctx, platform, userInfo, namespace);
      const main = await mainFor(ctx, platform, tenant);
      const there = await filesOf(main, name);
      const templates = await templatesIn(platform.skeleton);
      const before = madeFor(platform, tenant, templates, there);
      if ('why' in before) {
        const page = forgeAt(platform.forge).folderPage(tenant.repository, folderOf(name));
        throw new InputError(
          `${folderOf(name)}/${before.file} ${before.why}, which would be lost: change it in a pull request of your own, from ${page}`,
        );
      }
      const after = withChanges(before, asked);
      refuse(platform, tenant, after);
      const files = [...render(templates, valuesOf(platform, tenant, after))].filter(([file, text]) => there.get(file) !== text);
      if (files.length === 0) throw new InputError(`Nothing would change: ${name} is just so already`);
      await open(ctx, main, {
        kind: 'change',
        name,
        title: `Change ${name}`,
        text: changeOfCost(platform, before, after),
        files: new Map(files.map(([file, text]) => [`${folderOf(name)}/${file}`, text])),
      });
    },
  });
}

/** An endpoint with what is asked for otherwise. */
function withChanges(before: Endpoint, asked: Partial<Endpoint>): Endpoint {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== '');
  return { ...before, ...Object.fromEntries(given) };
}
