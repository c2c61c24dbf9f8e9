/** The one signature algorithm that is accepted. */
export const TOKEN_ALGORITHM = 'ES256';
/** Header `typ` of access tokens (RFC 9068): no other kind of token passes for one. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';
