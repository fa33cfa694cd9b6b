// Ends well when the portal's database takes it: it is there, takes the password, and
// lets the portal make schemas. Says why not in one line, and what setting to look at.
const { Client } = require('pg');

const { PGHOST: host, PGPORT: port, PGDATABASE: database, PGUSER: user, SSL_MODE: mode } = process.env;
const settings = 'neuroscale:portal.database';

/** What is wrong, by the codes of Postgres and of the network. */
const reasons = {
  '28P01': `the password in the Secret of ${settings}.passwordSecret is not that of user ${user}`,
  28000: `the server does not let user ${user} in from here (${settings}.user, or its pg_hba.conf)`,
  '3D000': `there is no database ${database} (${settings}.name)`,
  ENOTFOUND: `the name ${host} is unknown in the cluster (${settings}.host)`,
  ECONNREFUSED: `nobody answers there (${settings}.host and port)`,
  'timeout expired': `nobody answers there in 30 seconds (${settings}.host and port)`,
  ETIMEDOUT: `nobody answers there (${settings}.host and port)`,
};

async function check() {
  const client = new Client({
    connectionTimeoutMillis: 30_000,
    ssl: mode === 'disable' ? false : { rejectUnauthorized: mode === 'verify-full' },
  });
  await client.connect();
  try {
    const { rows } = await client.query("select has_database_privilege(current_database(), 'CREATE') as may");
    if (!rows[0].may) throw new Error(`user ${user} may make no schema in database ${database}: GRANT CREATE ON DATABASE`);
  } finally {
    await client.end();
  }
}

check().then(
  () => console.log(`Postgres at ${host}:${port} takes the portal`),
  error => {
    const why = reasons[error.code ?? error.message] ?? `${error.message} (${settings}.sslMode is ${mode})`;
    console.error(`the portal's database at ${host}:${port} refuses it: ${why}`);
    process.exit(1);
  },
);
