import { identityApiRef, useApi } from '@backstage/core-plugin-api';
import { FieldExtensionComponentProps } from '@backstage/plugin-scaffolder-react';
import FormControl from '@material-ui/core/FormControl';
import FormHelperText from '@material-ui/core/FormHelperText';
import InputLabel from '@material-ui/core/InputLabel';
import MenuItem from '@material-ui/core/MenuItem';
import Select from '@material-ui/core/Select';
import { useEffect, useState } from 'react';

const group = 'group:default/';

/** Chooses among the tenants that the person is a member of. */
export const TenantField = ({ schema, formData, onChange, rawErrors = [], required }: FieldExtensionComponentProps<string>) => {
  const identity = useApi(identityApiRef);
  const [mine, setMine] = useState<string[]>();
  useEffect(() => {
    identity.getBackstageIdentity().then(({ ownershipEntityRefs }) => {
      const known = (schema.enum ?? []) as string[];
      setMine(
        ownershipEntityRefs
          .filter(ref => ref.startsWith(group))
          .map(ref => ref.slice(group.length))
          .filter(name => known.includes(name)),
      );
    });
  }, [identity, schema.enum]);
  useEffect(() => {
    if (mine?.length && !mine.includes(formData ?? '')) onChange(mine[0]);
  }, [mine, formData, onChange]);

  const none = mine?.length === 0;
  return (
    <FormControl fullWidth margin="normal" required={required} error={none || rawErrors.length > 0}>
      <InputLabel id="tenant">{schema.title}</InputLabel>
      <Select
        labelId="tenant"
        id="root_tenant"
        value={mine?.includes(formData ?? '') ? formData : ''}
        onChange={event => onChange(event.target.value as string)}
        disabled={!mine?.length}
      >
        {(mine ?? []).map(name => (
          <MenuItem key={name} value={name}>
            {name}
          </MenuItem>
        ))}
      </Select>
      <FormHelperText>
        {none ? 'You are a member of no tenant: ask whoever runs the platform to add you to one' : schema.description}
      </FormHelperText>
    </FormControl>
  );
};
