import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { GATEWAYS, USUAL_GATEWAYS, type GatewayName } from './gateway/gateways.ts';
import { LOADS, type LoadName } from './gateway/loads.ts';
import { measureGateways, type Measured } from './gateway/measure.ts';
import { report } from './gateway/report.ts';
import { inPlace } from './tasks-place.ts';

/** Our gateway beside others, over the same subgraphs and under the same loads. */
const HELP = `Usage: npm run bench:gateway -- [options]

  --only <name,name…>   gateways; default: ${USUAL_GATEWAYS.join(',')}
    stock        @apollo/server and @apollo/gateway, as their documentation sets them up
    hive         Hive Gateway
    hive-router  Hive Gateway with its router runtime
    mercurius    Mercurius with its compiler
    grafbase     Grafbase's engine in Rust, by the dev command of its npm package
    ours         with everything on: tokens verified, secrets, limits, rates, metrics, logs
    ours-open    the same with --no-auth
    reference    no GraphQL at all: Node's HTTP server, the same fetches as ours by undici's dispatch, JSON.parse, JSON.stringify
  --loads <name,name…>  default: ${LOADS.join(',')}
    S            4 fetches in sequence and in parallel, an answer of 0.9 KB
    L            16 fetches, 86 KB
    XL           3 fetches, 2,000 entities, 439 KB
    D            distinct operations: each once, when the gateway has never seen it, then in turn for --seconds
    ONE          S over one connection alone
  --seconds <n>         measured for each gateway and load in a repetition; default: 10
  --rounds <n>          slices of that, the gateways by turns; default: 3
  --repeat <n>          so often, with new processes; default: 3
  --warm-up <n>         seconds before the first round of a load; default: 1.5
  --connections <n>     default: 50
  --operations <n>      distinct ones; default: 2000

Each gateway is a process of its own, on one core; on the others are the load and the subgraphs, whose answers are computed once for each
text of a request, so that the gateway is what is measured. How busy both were is told: where the gateway's core is well below 100 %, the
others were the limit, or the machine had something else to do. Every request has another token than the one before, of 1,000; every answer
is compared with the right one, which is found without a gateway.
Figures are medians over rounds and repetitions; ratios are those of the same round, and in brackets the least and the greatest median of
a repetition. CPU is that of the gateway's process and of all that it has started, for one request; memory is its peak, for each load.
A slow gateway is measured until it has answered on each connection, up to three times as long.
Between identical processes 15 % mean nothing, with XL 30 %. Takes 20 minutes as it is; a short look, three to four: --seconds 3 --repeat 1

Other gateways are installed the first time, in bench/gateway/peers. One that can't be installed or started is told to be missing.

Ends with 1 when an answer of ours was wrong or missing. A goal that is missed is only told.`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: USUAL_GATEWAYS.join(',') },
    loads: { type: 'string', default: LOADS.join(',') },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    repeat: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1.5' },
    connections: { type: 'string', default: '50' },
    operations: { type: 'string', default: '2000' },
    help: { type: 'boolean', default: false },
  },
});
const startedAt = performance.now();

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

/** @throws Error that names what is unknown */
function chosen<Name extends string>(flag: string, text: string, known: readonly Name[]): Name[] {
  const names = text.split(',');
  const unknown = names.filter((name) => !(known as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`${flag} ${unknown.join(',')}: give some of ${known.join(', ')}, with commas between`);
  return known.filter((name) => names.includes(name));
}

async function measureAll(gateways: readonly GatewayName[], loads: readonly LoadName[]): Promise<void> {
  await inPlace(async (place) => {
    const measured = await measureGateways({
      place,
      gateways,
      loads,
      seconds: Number(options.seconds),
      warmUpSeconds: Number(options['warm-up']),
      rounds: Number(options.rounds),
      repetitions: Number(options.repeat),
      connections: Number(options.connections),
      operations: Number(options.operations),
      say,
    });
    report(measured);
    if (!isOursRight(measured)) process.exitCode = 1;
  });
}

function isOursRight({ samples, missing }: Measured): boolean {
  const isOurs = ({ gateway }: { readonly gateway: GatewayName }): boolean => gateway.startsWith('ours');
  return !missing.some(isOurs) && !samples.some((sample) => isOurs(sample) && sample.result.errors > 0);
}

if (options.help) console.log(HELP);
else {
  // A terminal signals us directly and npm passes the same signal on: the second one must not cut the clearing up short.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  try {
    await measureAll(chosen('--only', options.only, GATEWAYS), chosen('--loads', options.loads, LOADS));
  } catch (error) {
    console.error(`${(error as Error).message}\n\nnpm run bench:gateway -- --help tells the options`);
    process.exitCode = 1;
  }
}
