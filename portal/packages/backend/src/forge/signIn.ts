import { createBackendModule } from '@backstage/backend-plugin-api';
import {
  authProvidersExtensionPoint,
  createOAuthProviderFactory,
  createSignInResolverFactory,
} from '@backstage/plugin-auth-node';
import { giteaAuthenticator } from './authenticator';

/** Signs in whoever is a member of a tenant: the catalog has no one else. */
const memberOfATenant = createSignInResolverFactory({
  create: () => async (info, ctx) => {
    const { username } = (info.result as { fullProfile: { username?: string } }).fullProfile;
    if (!username) throw new Error('The forge does not say who signed in');
    return ctx.signInWithCatalogUser({ entityRef: { name: username } });
  },
});

export default createBackendModule({
  pluginId: 'auth',
  moduleId: 'gitea',
  register(reg) {
    reg.registerInit({
      deps: { providers: authProvidersExtensionPoint },
      async init({ providers }) {
        providers.registerProvider({
          providerId: 'gitea',
          factory: createOAuthProviderFactory({
            authenticator: giteaAuthenticator,
            signInResolver: memberOfATenant(),
          }),
        });
      },
    });
  },
});
