import { coreServices, createBackendModule } from '@backstage/backend-plugin-api';
import { scaffolderActionsExtensionPoint } from '@backstage/plugin-scaffolder-node';
import { readPlatform } from '../platform/platform';
import { createEndpointAction } from './createEndpoint';

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
        scaffolder.addActions(createEndpointAction(readPlatform(config), userInfo));
      },
    });
  },
});
