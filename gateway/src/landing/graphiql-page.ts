import type { Page } from '../http/http-server.ts';
import type { GraphiqlFiles } from './graphiql-files.ts';
import { hashSource, pageHeaders } from './page-security.ts';

const STYLE = `
html, body, #graphiql { height: 100%; margin: 0; overflow: hidden }
#graphiql > p { padding: 2em; font: 1.1em/1.6 sans-serif }
`;

/**
 * Subscriptions go over a WebSocket whose connection parameters are the headers of the editor. Sockets are lazy: one whose
 * headers are no longer those of the editor closes by itself once its last subscription has ended.
 */
const SCRIPT = `
const url = new URL('graphql', location.href).href;

function withHeaders(headers) {
  const wsClient = graphqlWs.createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    // 4403: the token is refused, and will be again.
    shouldRetry: (closed) => closed instanceof CloseEvent && closed.code !== 4403,
  });
  return { headers: JSON.stringify(headers), fetch: GraphiQL.createFetcher({ url, wsClient, enableIncrementalDelivery: false }) };
}

let current = withHeaders({});
function fetcher(parameters, options) {
  const headers = options?.headers ?? {};
  if (JSON.stringify(headers) !== current.headers) current = withHeaders(headers);
  return current.fetch(parameters, options);
}

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: 'query {\\n  __typename\\n}\\n',
    defaultEditorToolsVisibility: 'headers',
    shouldPersistHeaders: false,
  }),
);
`;

/** GraphiQL for the gateway's endpoint, from `files` alone. */
export function graphiqlPage({ addresses }: GraphiqlFiles): Page {
  const scripts = [addresses.react, addresses.reactDom, addresses.graphqlWs, addresses.graphiql];
  return {
    contentType: 'text/html; charset=utf-8',
    headers: pageHeaders({
      'script-src': `'self' ${hashSource(SCRIPT)}`,
      // Its editors and panes put styles on elements.
      'style-src': "'self' 'unsafe-inline'",
      'font-src': 'data:',
      'img-src': "'self' data:",
      'connect-src': "'self' ws: wss:",
    }),
    body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>GraphiQL</title>
<link rel="stylesheet" href="${addresses.style}">
<style>${STYLE}</style>
</head>
<body>
<div id="graphiql"><noscript><p>GraphiQL needs JavaScript, which is switched off in this browser.</p></noscript></div>
${scripts.map((address) => `<script src="${address}"></script>`).join('\n')}
<script>${SCRIPT}</script>
</body>
</html>
`,
  };
}
