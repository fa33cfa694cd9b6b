import { CodeSnippet, InfoCard } from '@backstage/core-components';
import Typography from '@material-ui/core/Typography';
import { useEndpoint, useFacts } from './hooks';

/** How to ask an endpoint from elsewhere. */
export const UseCard = () => {
  const { id, tenant, name } = useEndpoint();
  const { facts } = useFacts(id);
  if (!facts) return null;
  return (
    <InfoCard title="Use it">
      {facts.use ? (
        <>
          <CodeSnippet text={facts.use.curl} language="bash" showCopyCodeButton />
          {facts.use.withKey && (
            <>
              <Typography variant="body2">
                The file key.header has a key. Whoever runs the platform makes one:
              </Typography>
              <CodeSnippet
                text={`(umask 077; echo "X-API-Key: $(neuroscale keys create \\\n  --tenant ${tenant} --endpoint ${name})" > key.header)`}
                language="bash"
                showCopyCodeButton
              />
            </>
          )}
        </>
      ) : (
        <Typography>It has no URL yet.</Typography>
      )}
    </InfoCard>
  );
};
