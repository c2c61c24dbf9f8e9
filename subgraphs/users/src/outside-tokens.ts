import { DomainError, HTTP_STATUS } from '@ates/service-kit/domain-error';
import { secretCheck } from '@ates/service-kit/gateway-secret';
import type { Logger } from '@ates/service-kit/logger';
import express, { type Express } from 'express';
import type { OutsideUsers } from './outside-users.ts';

const BODY_MAX = '16kb';

interface OutsideTokensOptions {
  /** Undefined where there is no identity provider: then every token is refused. */
  readonly outsideUsers: OutsideUsers | undefined;
  readonly gatewaySecret: string;
  readonly logger: Logger;
}

/** `POST /outside-tokens { token }`, for the gateway only: one of our access tokens for one of the identity provider's. */
export function serveOutsideTokens(app: Express, { outsideUsers, gatewaySecret, logger }: OutsideTokensOptions): void {
  const fromGateway = secretCheck(gatewaySecret);
  app.post('/outside-tokens', express.json({ limit: BODY_MAX }), (request, response) => {
    const refuse = ({ code, message }: Pick<DomainError, 'code' | 'message'>): void => void response.status(HTTP_STATUS[code]).json({ code, message });
    if (!fromGateway(request)) return refuse({ code: 'FORBIDDEN', message: 'This service answers its gateway only: send the request to the gateway' });
    const { token } = request.body as { token?: unknown };
    if (outsideUsers === undefined || typeof token !== 'string') return refuse({ code: 'UNAUTHENTICATED', message: 'The access token is not valid' });
    outsideUsers.exchange(token).then(
      (exchanged) => response.json(exchanged),
      (error: unknown) => {
        if (error instanceof DomainError) return refuse(error);
        logger.error({ err: error }, 'a token of the identity provider could not be exchanged');
        return refuse({ code: 'INTERNAL', message: 'Something went wrong on our side: try again' });
      },
    );
  });
}
