import { createHash } from 'node:crypto';

/** A policy by directive: what each allows, besides nothing. */
export type ContentSecurityPolicy = Readonly<Record<string, string>>;

/**
 * Headers of a page for browsers: it gets nothing but what `policy` names, is in nobody's frame, and tells nobody where its
 * links are followed from.
 */
export function pageHeaders(policy: ContentSecurityPolicy): Record<string, string> {
  const directives: ContentSecurityPolicy = { 'default-src': "'none'", 'base-uri': "'none'", 'form-action': "'none'", 'frame-ancestors': "'none'", ...policy };
  return {
    'content-security-policy': Object.entries(directives)
      .map(([name, sources]) => `${name} ${sources}`)
      .join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
}

/** The source of a policy that allows this inline script or style and no other. */
export function hashSource(inline: string): string {
  return `'sha256-${createHash('sha256').update(inline).digest('base64')}'`;
}
