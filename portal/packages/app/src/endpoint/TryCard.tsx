import { InfoCard } from '@backstage/core-components';
import { useApi } from '@backstage/core-plugin-api';
import Button from '@material-ui/core/Button';
import TextField from '@material-ui/core/TextField';
import Typography from '@material-ui/core/Typography';
import { makeStyles } from '@material-ui/core/styles';
import { useState } from 'react';
import { Answer, endpointsApiRef } from './client';
import { useEndpoint, useFacts } from './hooks';

const useStyles = makeStyles(theme => ({
  question: { '& textarea': { fontFamily: 'monospace' } },
  ask: { margin: theme.spacing(1, 0, 2) },
  answer: { maxHeight: 320, overflow: 'auto', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', margin: 0 },
}));

/** JSON with a line for each member; other text as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Asks an endpoint here and now. */
export const TryCard = () => {
  const classes = useStyles();
  const client = useApi(endpointsApiRef);
  const { id } = useEndpoint();
  const { facts } = useFacts(id);
  const [question, setQuestion] = useState<string>();
  const [asking, setAsking] = useState(false);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<Error>();
  if (!facts) return null;

  const text = question ?? facts.example;
  const ask = async () => {
    setAsking(true);
    setAnswer(undefined);
    setError(undefined);
    try {
      setAnswer(await client.predict(id, text));
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setAsking(false);
    }
  };
  return (
    <InfoCard title="Try it">
      <TextField
        className={classes.question}
        id="question"
        label="Question"
        fullWidth
        multiline
        minRows={3}
        maxRows={12}
        variant="outlined"
        value={text}
        onChange={event => setQuestion(event.target.value)}
      />
      <Button className={classes.ask} variant="contained" color="primary" disabled={asking || !facts.use} onClick={ask}>
        {asking ? 'Asking…' : 'Ask'}
      </Button>
      {error && <Typography color="error">{error.message}</Typography>}
      {answer && (
        <>
          <Typography variant="subtitle2" color={answer.status === 200 ? 'initial' : 'error'}>
            {answer.status} in {answer.milliseconds} ms{answer.cut && '; this is the beginning'}
          </Typography>
          <pre className={classes.answer}>{pretty(answer.body)}</pre>
        </>
      )}
    </InfoCard>
  );
};
