import { createFrontendModule } from '@backstage/frontend-plugin-api';
import {
  createFormField,
  createScaffolderFormDecorator,
  FormDecoratorBlueprint,
  FormFieldBlueprint,
} from '@backstage/plugin-scaffolder-react/alpha';
import { forgeAuthApiRef } from '../forge';
import { retrying } from './retry';

/** Gives the template the token that it opens a pull request with: that of whoever submits. */
const token = FormDecoratorBlueprint.make({
  name: 'forge-token',
  params: {
    decorator: createScaffolderFormDecorator({
      id: 'forge-token',
      deps: { forge: forgeAuthApiRef },
      async decorator({ setSecrets }, { forge }) {
        const FORGE_TOKEN = await forge.getAccessToken();
        setSecrets(secrets => ({ ...secrets, FORGE_TOKEN }));
      },
    }),
  },
});

const tenant = FormFieldBlueprint.make({
  name: 'tenant',
  params: {
    field: async () => {
      const { TenantField } = await import('./TenantField');
      return createFormField({ name: 'Tenant', component: TenantField });
    },
  },
});

const endpoint = FormFieldBlueprint.make({
  name: 'endpoint',
  params: {
    field: async () => {
      const { EndpointField } = await import('./EndpointField');
      return createFormField({ name: 'Endpoint', component: EndpointField });
    },
  },
});

export const formModule = createFrontendModule({ pluginId: 'scaffolder', extensions: [token, retrying, tenant, endpoint] });
