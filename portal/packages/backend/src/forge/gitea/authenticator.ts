import {
  createOAuthAuthenticator,
  PassportOAuthAuthenticatorHelper,
  PassportOAuthDoneCallback,
  PassportProfile,
} from '@backstage/plugin-auth-node';
import { Strategy } from 'passport-oauth2';

type Done = (error: unknown, profile?: PassportProfile) => void;

/**
 * Signs in at Gitea. The browser and this program reach it at different addresses,
 * so its OpenID metadata, which knows one, is not used.
 */
export const giteaAuthenticator = createOAuthAuthenticator({
  defaultProfileTransform: PassportOAuthAuthenticatorHelper.defaultProfileTransform,
  scopes: {
    persist: true,
    // Without the last two a token could do all that its owner can.
    required: ['openid', 'profile', 'email', 'read:user', 'write:repository'],
  },
  initialize({ callbackUrl, config }) {
    const internal = config.getString('internalUrl');
    const strategy = new Strategy(
      {
        clientID: config.getString('clientId'),
        clientSecret: config.getString('clientSecret'),
        callbackURL: callbackUrl,
        authorizationURL: `${config.getString('url')}/login/oauth/authorize`,
        tokenURL: `${internal}/login/oauth/access_token`,
        pkce: false,
      },
      (
        accessToken: string,
        refreshToken: string,
        params: any,
        fullProfile: PassportProfile,
        done: PassportOAuthDoneCallback,
      ) => done(undefined, { fullProfile, params, accessToken }, { refreshToken }),
    );
    strategy.userProfile = (accessToken: string, done: Done) => {
      userOf(internal, accessToken).then(profile => done(null, profile), done);
    };
    return PassportOAuthAuthenticatorHelper.from(strategy);
  },
  start: (input, helper) => helper.start(input, { accessType: 'offline', prompt: 'auto' }),
  authenticate: (input, helper) => helper.authenticate(input),
  refresh: (input, helper) => helper.refresh(input),
});

async function userOf(forge: string, token: string): Promise<PassportProfile> {
  const response = await fetch(`${forge}/api/v1/user`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`The forge does not say who signed in: it answers ${response.status}`);
  const user = (await response.json()) as { id: number; login: string; full_name: string; email: string };
  return {
    provider: 'gitea',
    id: String(user.id),
    username: user.login,
    displayName: user.full_name || user.login,
    emails: user.email ? [{ value: user.email }] : [],
  } as PassportProfile;
}
