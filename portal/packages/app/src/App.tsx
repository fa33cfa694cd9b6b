import { createApp } from '@backstage/frontend-defaults';
import catalogPlugin from '@backstage/plugin-catalog/alpha';
import orgPlugin from '@backstage/plugin-org/alpha';
import scaffolderPlugin from '@backstage/plugin-scaffolder/alpha';
import { endpointPlugin } from './endpoint';
import { forgeModule } from './forge';
import { formModule } from './form';
import { navigationModule } from './navigation';

export default createApp({
  features: [catalogPlugin, orgPlugin, scaffolderPlugin, endpointPlugin, forgeModule, navigationModule, formModule],
});
