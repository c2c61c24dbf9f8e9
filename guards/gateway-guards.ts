import { GATEWAY_ENTRY_GUARDS } from './gateway-entry-guards.ts';
import { GATEWAY_EXECUTION_GUARDS } from './gateway-execution-guards.ts';
import { GATEWAY_LIMIT_GUARDS } from './gateway-limit-guards.ts';
import { GATEWAY_STREAM_GUARDS } from './gateway-stream-guards.ts';
import type { Guard } from './guard.ts';

/** What keeps the gateway safe: who comes in, how much they may ask, what they are answered, and what goes on for long. */
export const GATEWAY_GUARDS: readonly Guard[] = [...GATEWAY_ENTRY_GUARDS, ...GATEWAY_LIMIT_GUARDS, ...GATEWAY_EXECUTION_GUARDS, ...GATEWAY_STREAM_GUARDS];
