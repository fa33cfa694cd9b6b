import { useApi } from '@backstage/core-plugin-api';
import { catalogApiRef } from '@backstage/plugin-catalog-react';
import { FieldExtensionComponentProps } from '@backstage/plugin-scaffolder-react';
import TextField from '@material-ui/core/TextField';
import { useEffect, useState } from 'react';
import { ANNOTATION_FOLDER } from '../endpoint/annotations';

/** The folder of an endpoint: those that run are offered, others may be written. */
export const EndpointField = ({ schema, formData, onChange, rawErrors = [], required, formContext }: FieldExtensionComponentProps<string>) => {
  const catalog = useApi(catalogApiRef);
  const [known, setKnown] = useState<{ tenant: string; folder: string }[]>([]);
  const tenant: string | undefined = formContext?.formData?.tenant;
  useEffect(() => {
    let gone = false;
    catalog
      .getEntities({ filter: { kind: 'Component', 'spec.type': 'endpoint' }, fields: ['metadata.annotations', 'spec.system'] })
      .then(
        ({ items }) => {
          if (gone) return;
          setKnown(
            items.map(({ metadata, spec }) => ({
              tenant: String(spec?.system),
              folder: metadata.annotations?.[ANNOTATION_FOLDER] ?? '',
            })),
          );
        },
        // Nothing is offered then; what is written is looked up anyhow.
        () => {},
      );
    return () => {
      gone = true;
    };
  }, [catalog]);

  const offered = known.filter(each => each.folder && (!tenant || each.tenant === tenant));
  return (
    <>
      <TextField
        id="root_name"
        fullWidth
        margin="normal"
        label={schema.title}
        required={required}
        error={rawErrors.length > 0}
        helperText={schema.description}
        value={formData ?? ''}
        onChange={event => onChange(event.target.value || undefined)}
        inputProps={{ list: 'endpoints', autoComplete: 'off' }}
      />
      <datalist id="endpoints">
        {offered.map(each => (
          <option key={`${each.tenant}/${each.folder}`} value={each.folder} label={each.tenant} />
        ))}
      </datalist>
    </>
  );
};
