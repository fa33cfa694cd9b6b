import { coreServices, createBackendPlugin } from '@backstage/backend-plugin-api';
import { forgeAt } from '../forge/kinds';
import { Cluster, KubernetesObject } from '../platform/cluster';
import { readPlatform } from '../platform/platform';
import { routerOf } from './router';

export default createBackendPlugin({
  pluginId: 'endpoints',
  register(reg) {
    reg.registerInit({
      deps: {
        config: coreServices.rootConfig,
        http: coreServices.httpRouter,
        httpAuth: coreServices.httpAuth,
        logger: coreServices.logger,
        userInfo: coreServices.userInfo,
      },
      async init({ config, http, httpAuth, logger, userInfo }) {
        const platform = readPlatform(config);
        const cluster = new Cluster();
        http.use(
          routerOf({
            platform,
            gateway: { url: platform.gatewayInternalUrl, key: process.env.PLATFORM_KEY ?? '' },
            find: path => cluster.find<KubernetesObject>(path),
            personOf: async req => {
              const credentials = await httpAuth.credentials(req, { allow: ['user'] });
              const { userEntityRef, ownershipEntityRefs } = await userInfo.getUserInfo(credentials);
              return { ref: userEntityRef, ownership: ownershipEntityRefs };
            },
            lastChange: (token, repository, path) => forgeAt(platform.forge).as(token).lastChange(repository, path),
            warn: message => logger.warn(message),
          }),
        );
      },
    });
  },
});
