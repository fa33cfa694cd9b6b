import { InfoCard, Link, LinkButton, Progress, StatusError, StatusOK, StatusPending } from '@backstage/core-components';
import Table from '@material-ui/core/Table';
import TableBody from '@material-ui/core/TableBody';
import TableCell from '@material-ui/core/TableCell';
import TableRow from '@material-ui/core/TableRow';
import Typography from '@material-ui/core/Typography';
import { makeStyles } from '@material-ui/core/styles';
import { ReactNode } from 'react';
import type { Facts, LastChange } from './client';
import { useEndpoint, useFacts, useLastChange } from './hooks';

const useStyles = makeStyles(theme => ({
  message: { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' },
  name: { width: '30%', verticalAlign: 'top', fontWeight: 700 },
  actions: { marginTop: theme.spacing(2), '& > *': { marginRight: theme.spacing(1) } },
}));

const Status = ({ well, children }: { well?: boolean; children: ReactNode }) => {
  if (well === undefined) return <StatusPending>{children}</StatusPending>;
  return well ? <StatusOK>{children}</StatusOK> : <StatusError>{children}</StatusError>;
};

const Row = ({ name, children }: { name: string; children: ReactNode }) => {
  const classes = useStyles();
  return (
    <TableRow>
      <TableCell className={classes.name}>{name}</TableCell>
      <TableCell className={classes.message}>{children}</TableCell>
    </TableRow>
  );
};

const moment = (text: string) => new Date(text).toLocaleString();

const Change = ({ change }: { change: LastChange }) => (
  <>
    <Link to={change.url}>{change.title || 'A change'}</Link> by {change.author}, {moment(change.when)}
    {change.merged && (
      <>
        , merged by {change.merged.by} in <Link to={change.merged.url}>#{change.merged.number}</Link>
      </>
    )}
  </>
);

/** A form with what an endpoint is now. */
function formOf(template: string, values: object): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const formData = encodeURIComponent(JSON.stringify(Object.fromEntries(given)));
  return `/create/templates/default/${template}?formData=${formData}`;
}

const Details = ({ facts, change, error }: { facts: Facts; change?: LastChange; error?: Error }) => (
  <Table size="small">
    <TableBody>
      {facts.since && <Row name="Since">{moment(facts.since)}</Row>}
      {facts.conditions.map(({ what, well, words }) => (
        <Row key={what} name={what}>
          <Status well={well}>{words || 'Yes'}</Status>
        </Row>
      ))}
      {facts.delivery && (
        <Row name="Argo CD">
          <Status well={facts.delivery.well}>
            {facts.delivery.application} is {facts.delivery.words}
            {facts.delivery.message && `: ${facts.delivery.message}`}
          </Status>
        </Row>
      )}
      <Row name="Revision">{facts.revision}</Row>
      <Row name="Replicas">{facts.replicas}</Row>
      <Row name="Costs">{facts.cost}</Row>
      <Row name="URL">{facts.url ?? 'None yet'}</Row>
      {(change || error) && <Row name="Last change">{change ? <Change change={change} /> : error?.message}</Row>}
    </TableBody>
  </Table>
);

/** Whether an endpoint is well, and if not, why. */
export const WellbeingCard = () => {
  const classes = useStyles();
  const { id, tenant, folder } = useEndpoint();
  const { facts, error } = useFacts(id);
  const last = useLastChange(id, facts?.delivery?.commit);
  return (
    <InfoCard title="Is it well?">
      {!facts && !error && <Progress />}
      {error && (
        <Typography color="error" paragraph>
          {error.message}
        </Typography>
      )}
      {facts && (
        <>
          <Typography variant="subtitle1" component="div" className={classes.message} paragraph>
            <Status well={facts.well}>{facts.words}</Status>
          </Typography>
          <Details facts={facts} {...last} />
          {folder && (
            <div className={classes.actions}>
              <LinkButton variant="outlined" to={formOf('change-endpoint', { tenant, name: folder, ...facts.model })}>
                Change it
              </LinkButton>
              <LinkButton variant="outlined" to={formOf('remove-endpoint', { tenant, name: folder })}>
                Remove it
              </LinkButton>
            </div>
          )}
        </>
      )}
    </InfoCard>
  );
};
