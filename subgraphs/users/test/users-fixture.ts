import { postGraphQL, startTestService, type GraphQLAnswer, type TestService } from '../../../scripts/test-service.ts';

export const ADMIN = { email: 'admin@ates.test', password: 'popug' };
export const SESSION = 'accessToken expiresAt refreshToken user { id name email roles status }';
export const LOGIN = `mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { ${SESSION} } }`;
export const REFRESH = `mutation ($refreshToken: String!) { refreshSession(refreshToken: $refreshToken) { ${SESSION} } }`;
export const CREATE = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id name email roles status } }';
export const UPDATE = 'mutation ($id: ID!, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { id name email roles status } }';

export interface SignedUpUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly token: string;
  readonly refreshToken: string;
  readonly input: { readonly email: string; readonly password: string };
}

/** Where a request comes from, as the gateway tells it. */
export interface From {
  readonly token?: string | undefined;
  readonly address?: string;
  readonly agent?: string;
}

/** Users alone, with its first admin. */
export class UsersFixture {
  readonly service: TestService;
  #counter = 0;

  private constructor(service: TestService) {
    this.service = service;
  }

  static async open(environment: Record<string, string> = {}): Promise<UsersFixture> {
    return new UsersFixture(await startTestService('users', { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password, PASSWORD_MIN_LENGTH: '5', ...environment }));
  }

  close(): Promise<void> {
    return this.service.stop();
  }

  /** As the gateway sends it. */
  send(query: string, variables: object = {}, { token, address, agent }: From = {}): Promise<GraphQLAnswer<any>> {
    const headers = {
      'x-gateway-secret': this.service.secret,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(address !== undefined && { 'x-client-address': address }),
      ...(agent !== undefined && { 'x-client-agent': agent }),
    };
    return postGraphQL(`${this.service.url}/graphql`, { query, variables }, headers);
  }

  async login(credentials: { readonly email: string; readonly password: string }, from: From = {}) {
    const { data, errors } = await this.send(LOGIN, credentials, from);
    if (data?.['login'] == null) throw new Error(`Signing in failed: ${JSON.stringify(errors)}`);
    return data['login'];
  }

  async adminToken(): Promise<string> {
    return (await this.login(ADMIN)).accessToken;
  }

  newUser(fields: object = {}) {
    return { name: 'Ann', email: `ann${(this.#counter += 1)}@ates.test`, password: 'feathers', roles: ['EMPLOYEE'], ...fields };
  }

  /** A user who was made, and has signed in. */
  async signUp(roles: readonly string[] = ['EMPLOYEE'], admin?: string): Promise<SignedUpUser> {
    const input = this.newUser({ roles });
    const { data, errors } = await this.send(CREATE, { input }, { token: admin ?? (await this.adminToken()) });
    if (data?.['createUser'] == null) throw new Error(`Making a user failed: ${JSON.stringify(errors)}`);
    const { accessToken, refreshToken } = await this.login(input);
    return { ...data['createUser'], token: accessToken, refreshToken, input };
  }

  /** The newest event of a type. */
  async lastEvent(type: string): Promise<any> {
    return (await this.service.sql<{ data: any }>('select data from outbox where type = $1 order by seq desc limit 1', [type]))[0]?.data;
  }
}

/** `extensions.code` of the first error. */
export function codeOf(answer: { readonly errors?: readonly { readonly extensions: { readonly code: string } }[] }): string | undefined {
  return answer.errors?.[0]?.extensions.code;
}
