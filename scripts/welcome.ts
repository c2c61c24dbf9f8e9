import { DEMO_USERS } from './demo-data.ts';
import { DEMO_ADMIN_EMAIL, DEMO_PASSWORD } from './stack-parts.ts';

/** What a person needs to begin with the running stack. `url` is the gateway's, such as `http://localhost:4000`. */
export function welcomeText(url: string, dataDir: string): string {
  const accounts = [{ email: DEMO_ADMIN_EMAIL, roles: ['ADMIN'] }, ...DEMO_USERS].map(({ email, roles }) => `    ${email.padEnd(22)} ${roles.join(', ')}`);
  const environment = url === 'http://localhost:4000' ? '' : `URL=${url} `;
  return `
  GraphQL        ${url}/graphql
  Subscriptions  ${url.replace('http', 'ws')}/graphql  (graphql-ws)
  Health         ${url}/readyz  ${url}/metrics
  Data, logs     ${dataDir}

  Demo accounts, all with the password "${DEMO_PASSWORD}":
${accounts.join('\n')}

  A first query and a subscription, to paste into another terminal in this folder:

    ${environment}npm run -s graphql -- ann@ates.test '{ me { name } myAccount { balance } myTasks { edges { node { number title fee reward } } } }'
    ${environment}npm run -s graphql -- ann@ates.test 'subscription { balanceChanged { balance account { owner { name email } } entry { amount task { title } } } }'
    ${environment}npm run -s graphql -- manager@ates.test 'mutation { createTask(input: { title: "Feed the parrot" }) { number title assignee { name } } }'

  Ctrl-C stops everything; the data stays.
`;
}
