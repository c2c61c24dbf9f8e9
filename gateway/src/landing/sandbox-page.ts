import type { Page } from '../http/http-server.ts';
import { hashSource, pageHeaders } from './page-security.ts';

/** The version that Apollo Server's landing page loads. */
const SANDBOX_SCRIPT = 'https://embeddable-sandbox.cdn.apollographql.com/v2/embeddable-sandbox.umd.production.min.js';
const SANDBOX_FRAME = 'https://sandbox.embed.apollographql.com';

const STYLE = `
html, body, #sandbox { height: 100%; margin: 0; overflow: hidden }
#sandbox:empty { display: none }
#sandbox iframe { width: 100%; height: 100%; border: 0 }
#instead { max-width: 40em; padding: 2em; font: 1.1em/1.6 sans-serif }
#sandbox:not(:empty) + #instead { display: none }
`;

/** The endpoint is where the page came from, whatever stands in front. */
const SCRIPT = `
const endpoint = location.origin + location.pathname;
const script = document.createElement('script');
script.src = '${SANDBOX_SCRIPT}';
script.addEventListener('load', () => {
  new window.EmbeddedSandbox({
    target: '#sandbox',
    initialEndpoint: endpoint,
    initialSubscriptionEndpoint: endpoint.replace(/^http/, 'ws'),
    initialState: { document: 'query { __typename }', includeCookies: false },
    hideCookieToggle: true,
    endpointIsEditable: false,
    allowDynamicStyles: false,
    runTelemetry: false,
  });
});
script.addEventListener('error', () => {
  document.getElementById('state').textContent = 'Apollo Sandbox could not be loaded: its network is not reachable from this browser.';
});
document.head.append(script);
`;

/**
 * Apollo Sandbox for the endpoint at the page's own address. The browser loads it from its maker's network; until that is done,
 * and where it can't be, the page says so and names GraphiQL.
 */
export const sandboxPage: Page = {
  contentType: 'text/html; charset=utf-8',
  headers: pageHeaders({
    'script-src': `${hashSource(SCRIPT)} ${new URL(SANDBOX_SCRIPT).origin}`,
    'style-src': hashSource(STYLE),
    'frame-src': SANDBOX_FRAME,
    'img-src': 'data:',
    'connect-src': "'self' ws: wss:",
  }),
  body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Apollo Sandbox</title>
<style>${STYLE}</style>
</head>
<body>
<div id="sandbox"></div>
<main id="instead">
<p id="state">Apollo Sandbox is being loaded from the network …</p>
<noscript><p>It needs JavaScript, which is switched off in this browser.</p></noscript>
<p><a href="graphiql">GraphiQL</a> is served by this gateway itself and needs no network.</p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`,
};
