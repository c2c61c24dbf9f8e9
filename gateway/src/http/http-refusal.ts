import type { ErrorCode } from '@ates/service-kit/domain-error';

/** An HTTP request that is refused before it is a GraphQL request. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  readonly code: ErrorCode;
  /** Members of `extensions` besides the code. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, about: { readonly code?: ErrorCode; readonly reason?: string; readonly headers?: Readonly<Record<string, string>> } = {}) {
    super(message);
    this.status = status;
    this.code = about.code ?? 'BAD_USER_INPUT';
    this.details = about.reason === undefined ? {} : { reason: about.reason };
    this.headers = about.headers ?? {};
  }
}
