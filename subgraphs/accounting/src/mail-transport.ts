import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { domainToASCII } from 'node:url';
import type * as Nodemailer from 'nodemailer';
import type { NodemailerError, SendMailOptions } from 'nodemailer';
import addressparser from 'nodemailer/lib/addressparser';
import type { ClaimedMail } from './mail-queue.ts';
import type { MailTexts } from './mail-texts.ts';

export interface OutgoingMail extends MailTexts, Pick<ClaimedMail, 'kind' | 'businessDay' | 'recipientId' | 'payoutId'> {
  readonly to: { readonly name: string; readonly address: string };
  readonly date: Date;
}

/** Hands mails on. */
export interface MailTransport {
  /** Resolves when the mail is taken over for good. @throws what `isPermanentRefusal` tells apart; when the signal aborts, too */
  send(mail: OutgoingMail, over: AbortSignal): Promise<void>;
  /** Closes connections; to be called when nothing is being sent. */
  close(): void;
}

/** Exactly one of `smtpUrl` and `mailDir` is given. */
export interface MailTransportOptions {
  /** `smtp://user:password@host:25`, or `smtps://` for TLS from the start; STARTTLS where the server has it. */
  readonly smtpUrl?: string | undefined;
  /** A directory, made when it is missing, that gets each mail as a file. */
  readonly mailDir?: string | undefined;
  /** The sender, `aTES <no-reply@ates.test>` or the address alone. */
  readonly from: string;
}

/** How many mails are sent side by side, each over a connection of its own. */
export const CONNECTIONS_MAX = 5;
const CONNECT_TIMEOUT_MS = 10_000;
/** Servers may take their time after the final dot; below what a sender waits for a whole mail. */
const SILENCE_TIMEOUT_MS = 60_000;
/** Below what servers keep idle connections for: a mail is not started on one that is just being closed. */
const IDLE_TIMEOUT_MS = 10_000;

/** One address and nothing more: no list, no comment, no second line. */
const ADDRESS = /^[^\s<>,]+@[^\s<>,@]+$/;

/** The address can't be one, so there is nobody to send to. */
class NoAddressError extends Error {
  override readonly name = 'NoAddressError';
}

/**
 * The sender's address, and the domain that its mails' ids are made in.
 * @throws Error when `from` is not exactly one address
 */
export function readSender(from: string): { readonly name: string; readonly address: string; readonly domain: string } {
  const [sender, ...others] = addressparser(from, { flatten: true });
  const domain = domainToASCII(sender?.address.split('@').at(-1) ?? '');
  if (sender === undefined || others.length > 0 || !ADDRESS.test(sender.address) || domain === '') {
    throw new Error(`"${from}" is no sender: one address is needed, like aTES <no-reply@ates.test>`);
  }
  return { name: sender.name, address: sender.address, domain };
}

/** @throws Error when `from` is no address, or not exactly one of `smtpUrl` and `mailDir` is given */
export function createMailTransport({ smtpUrl, mailDir, from }: MailTransportOptions): MailTransport {
  const sender = readSender(from);
  const compose = (mail: OutgoingMail): SendMailOptions => composed(mail, sender);
  if (smtpUrl !== undefined && mailDir === undefined) return smtpTransport(smtpUrl, compose);
  if (mailDir !== undefined && smtpUrl === undefined) return fileTransport(mailDir, compose);
  throw new Error('Mails go either to an SMTP server or into a directory: give one of the two');
}

/**
 * Whether the same mail would be refused again, so that it is not worth another try. What the server says of us (a login, a sender, a
 * client that it does not want) is for an operator to mend and passes then, and so does whatever leaves the outcome open.
 */
export function isPermanentRefusal(error: unknown): boolean {
  if (error instanceof NoAddressError) return true;
  if (!(error instanceof Error)) return false;
  const { code, command, responseCode, permanent } = error as NodemailerError;
  // Found before the server was asked: an address that can't be written into a command, a message beyond the size that it takes.
  if (responseCode === undefined) return (code === 'EENVELOPE' && command === 'API') || (code === 'EMESSAGE' && command === 'MAIL FROM');
  const ofThisMail = command === 'RCPT TO' || command === 'DATA';
  return permanent === true && ofThisMail && responseCode !== 530;
}

/** The same for every attempt, so that whoever gets a mail twice can see that it is one. */
function messageId({ kind, businessDay, recipientId, payoutId }: OutgoingMail, domain: string): string {
  return kind === 'PAYOUT' ? `<payout.${payoutId}@${domain}>` : `<report.${businessDay}.${recipientId}@${domain}>`;
}

function composed(mail: OutgoingMail, sender: ReturnType<typeof readSender>): SendMailOptions {
  const { to, subject, text, html, date, businessDay } = mail;
  if (!ADDRESS.test(to.address)) throw new NoAddressError('The user’s address is none that mail can be sent to');
  return {
    from: { name: sender.name, address: sender.address },
    to,
    messageId: messageId(mail, sender.domain),
    date,
    subject,
    text,
    html,
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Ates-Business-Day': businessDay },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** It takes long to load: not before there is a mail. */
function lazily<Transporter>(make: (nodemailer: typeof Nodemailer) => Transporter): { get(): Promise<Transporter>; readonly made: Transporter | undefined } {
  let made: Transporter | undefined;
  return {
    get: async () => (made ??= make(await import('nodemailer'))),
    get made() {
      return made;
    },
  };
}

function smtpTransport(url: string, compose: (mail: OutgoingMail) => SendMailOptions): MailTransport {
  const smtp = lazily((nodemailer) => nodemailer.createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS_MAX,
    // Whoever sends it again must count it first.
    maxRequeues: 0,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    dnsTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    idleTimeout: IDLE_TIMEOUT_MS,
  }));
  return {
    send: async (mail, over) => {
      const transporter = await smtp.get();
      await transporter.sendMail({ ...compose(mail), signal: over });
    },
    close: () => smtp.made?.close({ force: true }),
  };
}

function fileTransport(directory: string, compose: (mail: OutgoingMail) => SendMailOptions): MailTransport {
  const files = lazily((nodemailer) => nodemailer.createTransport({ streamTransport: true, buffer: true, newline: 'windows' }));
  return {
    send: async (mail, over) => {
      const transporter = await files.get();
      const { message } = await transporter.sendMail(compose(mail));
      await mkdir(directory, { recursive: true });
      const written = join(directory, `.${randomUUID()}.tmp`);
      try {
        await writeFile(written, message as Buffer, { flush: true });
        over.throwIfAborted();
        // Whoever reads the directory sees whole mails only, and one that is sent again in its own place.
        await rename(written, join(directory, fileName(mail)));
      } catch (error) {
        await rm(written, { force: true });
        throw error;
      }
    },
    close: () => undefined,
  };
}

function fileName({ kind, businessDay, recipientId, payoutId }: OutgoingMail): string {
  return kind === 'PAYOUT' ? `${businessDay}-payout-${payoutId}.eml` : `${businessDay}-report-${recipientId}.eml`;
}
