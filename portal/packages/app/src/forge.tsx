import { OAuth2 } from '@backstage/core-app-api';
import { SignInPage } from '@backstage/core-components';
import {
  BackstageIdentityApi,
  ConfigApi,
  configApiRef,
  createApiRef,
  discoveryApiRef,
  OAuthApi,
  oauthRequestApiRef,
  ProfileInfoApi,
  SessionApi,
  useApi,
} from '@backstage/core-plugin-api';
import { ApiBlueprint, createFrontendModule } from '@backstage/frontend-plugin-api';
import { SignInPageBlueprint, SignInPageProps } from '@backstage/plugin-app-react';
import StorageIcon from '@material-ui/icons/Storage';

/** The account in the forge that somebody signed in with. */
export const forgeAuthApiRef = createApiRef<OAuthApi & ProfileInfoApi & BackstageIdentityApi & SessionApi>({
  id: 'auth.forge',
});

/** What people call each kind of forge. */
const kinds = {
  gitea: { title: 'Forge', message: 'Sign in with your account in the forge' },
  github: { title: 'GitHub', message: 'Sign in with your account on GitHub' },
};

function kindIn(config: ConfigApi) {
  const id = config.getString('neuroscale.forge.provider') as keyof typeof kinds;
  return { id, ...kinds[id] };
}

const forgeAuth = ApiBlueprint.make({
  name: 'forge-auth',
  params: defineParams =>
    defineParams({
      api: forgeAuthApiRef,
      deps: { configApi: configApiRef, discoveryApi: discoveryApiRef, oauthRequestApi: oauthRequestApiRef },
      factory: ({ configApi, discoveryApi, oauthRequestApi }) =>
        OAuth2.create({
          configApi,
          discoveryApi,
          oauthRequestApi,
          provider: { ...kindIn(configApi), icon: StorageIcon },
          environment: configApi.getOptionalString('auth.environment'),
          defaultScopes: [],
        }),
    }),
});

const Welcome = (props: SignInPageProps) => {
  const config = useApi(configApiRef);
  const guests = config.getOptionalBoolean('neuroscale.guests') ?? false;
  const forge = { ...kindIn(config), apiRef: forgeAuthApiRef };
  return (
    <SignInPage {...props} title="NeuroScale" align="center" providers={guests ? [forge, 'guest'] : [forge]} />
  );
};

const signInPage = SignInPageBlueprint.make({ params: { loader: async () => Welcome } });

export const forgeModule = createFrontendModule({ pluginId: 'app', extensions: [forgeAuth, signInPage] });
