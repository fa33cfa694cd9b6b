import { OAuth2 } from '@backstage/core-app-api';
import { SignInPage } from '@backstage/core-components';
import {
  BackstageIdentityApi,
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
  id: 'auth.gitea',
});

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
          provider: { id: 'gitea', title: 'Forge', icon: StorageIcon },
          environment: configApi.getOptionalString('auth.environment'),
          defaultScopes: [],
        }),
    }),
});

const Welcome = (props: SignInPageProps) => {
  const guests = useApi(configApiRef).getOptionalBoolean('neuroscale.guests') ?? false;
  const forge = {
    id: 'gitea',
    title: 'Forge',
    message: 'Sign in with your account in the forge',
    apiRef: forgeAuthApiRef,
  };
  return (
    <SignInPage {...props} title="NeuroScale" align="center" providers={guests ? [forge, 'guest'] : [forge]} />
  );
};

const signInPage = SignInPageBlueprint.make({ params: { loader: async () => Welcome } });

export const forgeModule = createFrontendModule({ pluginId: 'app', extensions: [forgeAuth, signInPage] });
