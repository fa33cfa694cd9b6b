import { coreServices, createBackendModule } from '@backstage/backend-plugin-api';
import { catalogProcessingExtensionPoint } from '@backstage/plugin-catalog-node';
import { Cluster } from '../platform/cluster';
import { readPlatform } from '../platform/platform';
import { PlatformEntityProvider } from './provider';

export default createBackendModule({
  pluginId: 'catalog',
  moduleId: 'neuroscale',
  register(reg) {
    reg.registerInit({
      deps: {
        catalog: catalogProcessingExtensionPoint,
        config: coreServices.rootConfig,
        scheduler: coreServices.scheduler,
        logger: coreServices.logger,
      },
      async init({ catalog, config, scheduler, logger }) {
        const runner = scheduler.createScheduledTaskRunner({
          frequency: { seconds: 3 },
          timeout: { seconds: 30 },
          scope: 'local',
        });
        catalog.addEntityProvider(new PlatformEntityProvider(readPlatform(config), new Cluster(), runner, logger));
      },
    });
  },
});
