import { discoveryApiRef, fetchApiRef, identityApiRef } from '@backstage/core-plugin-api';
import { ResponseError } from '@backstage/errors';
import { ApiBlueprint } from '@backstage/frontend-plugin-api';
import { scmIntegrationsApiRef } from '@backstage/integration-react';
import { ScaffolderClient } from '@backstage/plugin-scaffolder-common';
import { scaffolderApiRef } from '@backstage/plugin-scaffolder-react';
import { forgeAuthApiRef } from '../forge';

/** Starts a task again with the person's token: that of the first try was forgotten with its end. */
export const retrying = ApiBlueprint.make({
  params: defineParams =>
    defineParams({
      api: scaffolderApiRef,
      deps: {
        discoveryApi: discoveryApiRef,
        fetchApi: fetchApiRef,
        forge: forgeAuthApiRef,
        identityApi: identityApiRef,
        scmIntegrationsApi: scmIntegrationsApiRef,
      },
      factory: ({ forge, ...apis }) => {
        const client = new ScaffolderClient(apis);
        client.retry = async taskId => {
          const FORGE_TOKEN = await forge.getAccessToken();
          const response = await apis.fetchApi.fetch(`${await apis.discoveryApi.getBaseUrl('scaffolder')}/v2/tasks/${taskId}/retry`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ secrets: { FORGE_TOKEN } }),
          });
          if (!response.ok) throw await ResponseError.fromResponse(response);
          return response.json();
        };
        return client;
      },
    }),
});
