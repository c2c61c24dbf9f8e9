/** What every error of the gateway says of itself; `INTERNAL` is of the same list, and nothing that a client sends may bring it about. */
const CODES = new Set(['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT', 'CONFLICT', 'RATE_LIMITED', 'PERSISTED_QUERY_NOT_FOUND', 'PERSISTED_QUERY_NOT_SUPPORTED']);
/** A line of a stack, the folder of a module, or a source file with its line. */
const INSIDES = /\bat (?:async )?[\w$.<>[\] ]+ \([^)]*:\d+:\d+\)|node_modules|file:\/\/\/|node:internal|\.ts:\d+|\b(?:Type|Range|Reference)Error\b/;
const STATUS = /HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g;
/** Of RFC 6455 and of graphql-transport-ws: something failed on the gateway's side. */
const CLOSED_IN_FAILURE = new Set([1011, 4500]);

/** @returns what is wrong with the bytes that came back over one connection, and what came: statuses, close codes */
export function problemsIn(received: string, hasToAnswer: boolean): { readonly problems: string[]; readonly seen: string[] } {
  const problems: string[] = [];
  const statuses = [...received.matchAll(STATUS)].map(([, status]) => status as string);
  const seen = statuses.length === 0 ? ['nothing'] : [...statuses];
  if (hasToAnswer && statuses.length === 0) problems.push('no answer');
  for (const status of statuses) if (status.startsWith('5')) problems.push(`status ${status}`);
  const inside = INSIDES.exec(received);
  if (inside !== null) problems.push(`tells of its insides: ${inside[0]}`);
  if (statuses[0] === '101') {
    const frames = framesIn(received.slice(received.indexOf('\r\n\r\n') + 4));
    for (const code of frames.closes) seen.push(`close ${code}`);
    for (const code of frames.closes) if (CLOSED_IN_FAILURE.has(code)) problems.push(`closed with ${code}`);
    for (const text of frames.texts) problems.push(...problemsOfMessage(text));
  } else if (statuses.length === 1) problems.push(...problemsOfBody(received));
  return { problems, seen };
}

function problemsOfBody(received: string): string[] {
  const [head = '', ...rest] = received.split('\r\n\r\n');
  const body = rest.join('\r\n\r\n');
  const status = Number(head.slice(9, 12));
  if (!/content-type: application\/(?:graphql-response\+)?json/i.test(head) || !/content-length/i.test(head) || body === '') return [];
  if (Number(/content-length: (\d+)/i.exec(head)?.[1]) !== body.length) return [];
  try {
    const { errors } = JSON.parse(Buffer.from(body, 'latin1').toString()) as { readonly errors?: unknown };
    if (status >= 400 && !(Array.isArray(errors) && errors.length > 0)) return [`status ${status} without errors`];
    return problemsOfErrors(errors);
  } catch {
    return ['an answer that is no JSON'];
  }
}

function problemsOfMessage(text: string): string[] {
  const message = JSON.parse(Buffer.from(text, 'latin1').toString()) as { readonly type?: string; readonly payload?: unknown };
  if (message.type === 'error') return problemsOfErrors(message.payload);
  return message.type === 'next' ? problemsOfErrors((message.payload as { readonly errors?: unknown }).errors) : [];
}

function problemsOfErrors(errors: unknown): string[] {
  if (errors === undefined) return [];
  if (!Array.isArray(errors)) return ['errors that are no list'];
  return (errors as { readonly message?: unknown; readonly extensions?: { readonly code?: unknown } }[]).flatMap(({ message, extensions }) => {
    const code = String(extensions?.code);
    if (typeof message !== 'string' || message === '') return ['an error without a message'];
    return CODES.has(code) ? [] : [`an error with the code ${code}: ${message}`];
  });
}

/** The frames of a WebSocket's server side, as far as they are whole. */
function framesIn(bytes: string): { readonly texts: string[]; readonly closes: number[] } {
  const data = Buffer.from(bytes, 'latin1');
  const texts: string[] = [];
  const closes: number[] = [];
  for (let at = 0; data.length - at >= 2; ) {
    const opcode = (data[at] as number) & 0x0f;
    const short = (data[at + 1] as number) & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (data.length - at < head) break;
    const length = short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
    if (data.length - at - head < length) break;
    const payload = data.subarray(at + head, at + head + length);
    if (opcode === 1) texts.push(payload.toString('latin1'));
    if (opcode === 8 && length >= 2) closes.push(payload.readUInt16BE(0));
    at += head + length;
  }
  return { texts, closes };
}
