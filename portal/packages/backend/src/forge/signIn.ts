import { createBackendModule } from '@backstage/backend-plugin-api';
import { NotFoundError } from '@backstage/errors';
import { githubAuthenticator } from '@backstage/plugin-auth-backend-module-github-provider';
import {
  authProvidersExtensionPoint,
  createOAuthProviderFactory,
  createSignInResolverFactory,
} from '@backstage/plugin-auth-node';
import { giteaAuthenticator } from './gitea/authenticator';

/** Signs in whoever is a member of a tenant: the catalog has no one else, and knows no capitals. */
const memberOfATenant = createSignInResolverFactory({
  create: () => async (info, ctx) => {
    const { username } = (info.result as { fullProfile: { username?: string } }).fullProfile;
    if (!username) throw new Error('The forge does not say who signed in');
    return ctx.signInWithCatalogUser({ entityRef: { name: username } }).catch(error => {
      if (error.name !== 'NotFoundError') throw error;
      throw new NotFoundError(`${username} is a member of no tenant: ask whoever runs the platform to add that name to one`);
    });
  },
});

/** Every kind of forge. The configuration has one of them. */
export default createBackendModule({
  pluginId: 'auth',
  moduleId: 'forge',
  register(reg) {
    reg.registerInit({
      deps: { providers: authProvidersExtensionPoint },
      async init({ providers }) {
        const signInResolver = memberOfATenant();
        providers.registerProvider({
          providerId: 'gitea',
          factory: createOAuthProviderFactory({ authenticator: giteaAuthenticator, signInResolver }),
        });
        providers.registerProvider({
          providerId: 'github',
          factory: createOAuthProviderFactory({ authenticator: githubAuthenticator, signInResolver }),
        });
      },
    });
  },
});
