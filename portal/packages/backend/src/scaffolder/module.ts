import { coreServices, createBackendModule } from '@backstage/backend-plugin-api';
import { scaffolderActionsExtensionPoint } from '@backstage/plugin-scaffolder-node';
import { readPlatform } from '../platform/platform';
import { changeEndpointAction } from './changeEndpoint';
import { createEndpointAction } from './createEndpoint';
import { removeEndpointAction } from './removeEndpoint';

export default createBackendModule({
  pluginId: 'scaffolder',
  moduleId: 'neuroscale',
  register(reg) {
    reg.registerInit({
      deps: {
        scaffolder: scaffolderActionsExtensionPoint,
        config: coreServices.rootConfig,
        userInfo: coreServices.userInfo,
      },
      async init({ scaffolder, config, userInfo }) {
        const platform = readPlatform(config);
        scaffolder.addActions(
          createEndpointAction(platform, userInfo),
          changeEndpointAction(platform, userInfo),
          removeEndpointAction(platform, userInfo),
        );
      },
    });
  },
});
