import { UserInfoService } from '@backstage/backend-plugin-api';
import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import { folderOf } from '../forge/folders';
import { Platform } from '../platform/platform';
import { filesOf, mainFor, open, tenantFor } from './asker';

/** Proposes that the folder of an endpoint goes. */
export function removeEndpointAction(platform: Platform, userInfo: UserInfoService) {
  return createTemplateAction({
    id: 'neuroscale:endpoint:remove',
    description: 'Opens a pull request that removes an endpoint, as the person who asks for it.',
    schema: {
      input: {
        tenant: z => z.string(),
        name: z => z.string(),
      },
      output: {
        url: z => z.string(),
        number: z => z.number(),
      },
    },
    async handler(ctx) {
      const { tenant: namespace, name } = ctx.input;
      const tenant = await tenantFor(ctx, platform, userInfo, namespace);
      const main = await mainFor(ctx, platform, tenant);
      const files = await filesOf(main, name);
      const folder = folderOf(name);
      await open(ctx, main, {
        kind: 'remove',
        name,
        title: `Remove ${name}`,
        text: `Once this is merged nothing of ${folder} runs any more. A revert brings it back.`,
        files: new Map([...files.keys()].map(file => [`${folder}/${file}`, undefined])),
      });
    },
  });
}
