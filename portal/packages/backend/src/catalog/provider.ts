import { LoggerService, SchedulerServiceTaskRunner } from '@backstage/backend-plugin-api';
import { Entity } from '@backstage/catalog-model';
import { EntityProvider, EntityProviderConnection } from '@backstage/plugin-catalog-node';
import { createHash } from 'node:crypto';
import { Cluster } from '../platform/cluster';
import { Platform } from '../platform/platform';
import { entitiesOfTenants, entityOfEndpoint } from './entities';

/**
 * Puts tenants, their people and their endpoints into the catalog. While the cluster
 * does not answer, the endpoints there are those of before.
 */
export class PlatformEntityProvider implements EntityProvider {
  private last = '';
  private endpoints: Entity[] | undefined;

  constructor(
    private readonly platform: Platform,
    private readonly cluster: Pick<Cluster, 'list'>,
    private readonly runner: SchedulerServiceTaskRunner,
    private readonly logger: LoggerService,
  ) {}

  getProviderName(): string {
    return 'neuroscale';
  }

  async connect(connection: EntityProviderConnection): Promise<void> {
    // Nobody can sign in before.
    await this.apply(connection);
    await this.runner.run({ id: 'neuroscale-entities', fn: () => this.refresh(connection) });
  }

  async refresh(connection: EntityProviderConnection): Promise<void> {
    try {
      const found = await Promise.all(
        this.platform.tenants.map(t =>
          this.cluster.list(`/apis/serving.kserve.io/v1beta1/namespaces/${t.namespace}/inferenceservices`),
        ),
      );
      this.endpoints = found.flat().map(each => entityOfEndpoint(this.platform, each));
    } catch (error) {
      this.logger.warn(`The endpoints of the catalog may be old: ${error}`);
      return;
    }
    await this.apply(connection);
  }

  private async apply(connection: EntityProviderConnection): Promise<void> {
    const entities = [...entitiesOfTenants(this.platform), ...(this.endpoints ?? [])];
    const hash = createHash('sha256').update(JSON.stringify(entities)).digest('hex');
    if (hash === this.last) return;
    if (this.endpoints) {
      await connection.applyMutation({
        type: 'full',
        entities: entities.map(each => ({ entity: each, locationKey: 'neuroscale' })),
      });
    } else {
      await connection.applyMutation({
        type: 'delta',
        added: entities.map(each => ({ entity: each, locationKey: 'neuroscale' })),
        removed: [],
      });
    }
    this.last = hash;
  }
}
