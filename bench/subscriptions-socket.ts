import { connect, type Socket } from 'node:net';

/** A client's WebSocket with nothing to spare: what is measured is the server, on the other core. */
export interface LeanSocket {
  send(text: string): void;
  destroy(): void;
}

interface LeanSocketOptions {
  readonly port: number;
  /** Of the client's side: an address has some 28,000 ports. */
  readonly localAddress: string;
  readonly onOpen: (socket: LeanSocket) => void;
  readonly onText: (text: string) => void;
  readonly onClose: (why: string) => void;
}

const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 };
const FINAL = 0x80;
const MASKED = 0x80;
const EMPTY = Buffer.alloc(0);

/** Speaks RFC 6455 as far as the bench needs it: whole frames of text, and pongs for pings. */
export function openLeanSocket({ port, localAddress, onOpen, onText, onClose }: LeanSocketOptions): void {
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
  let isOpen = false;
  let rest: Buffer = EMPTY;
  const lean: LeanSocket = { send: (text) => socket.write(frame(OPCODE.text, Buffer.from(text))), destroy: () => socket.destroy() };
  socket.once('connect', () => socket.write(upgrade(port)));
  socket.on('data', (chunk: Buffer) => {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (!isOpen) {
      const end = data.indexOf('\r\n\r\n');
      if (end === -1) return void (rest = data);
      const head = data.subarray(0, end).toString();
      if (!head.startsWith('HTTP/1.1 101')) return void socket.destroy(new Error(head.split('\r\n')[0]));
      isOpen = true;
      data = data.subarray(end + 4);
      onOpen(lean);
    }
    return void (rest = read(data, socket, onText));
  });
  socket.on('error', (error) => onClose(error.message));
  socket.on('close', () => onClose('closed'));
}

function upgrade(port: number): string {
  return `GET /graphql HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nuser-agent: bench\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n`;
}

/** @returns the beginning of a frame that is not whole */
function read(data: Buffer, socket: Socket, onText: (text: string) => void): Buffer {
  let at = 0;
  while (data.length - at >= 2) {
    const opcode = (data[at] as number) & 0x0f;
    const short = (data[at + 1] as number) & 0x7f;
    const head = short < 126 ? 2 : 4;
    if (short === 127) throw new Error('a message of more than 64 KB came, which nothing here asks for');
    if (data.length - at < head) break;
    const length = short < 126 ? short : data.readUInt16BE(at + 2);
    if (data.length - at - head < length) break;
    const payload = data.subarray(at + head, at + head + length);
    if (opcode === OPCODE.text) onText(payload.toString());
    else if (opcode === OPCODE.ping) socket.write(frame(OPCODE.pong, payload));
    else if (opcode === OPCODE.close) socket.destroy(new Error(`closed by the server: ${length > 1 ? payload.readUInt16BE(0) : ''} ${payload.subarray(2).toString()}`));
    at += head + length;
  }
  return at === data.length ? EMPTY : Buffer.from(data.subarray(at));
}

/** Clients have to mask; a mask of zeros leaves the text as it is. */
function frame(opcode: number, payload: Buffer): Buffer {
  const length = payload.length < 126 ? Buffer.from([FINAL | opcode, MASKED | payload.length]) : Buffer.from([FINAL | opcode, MASKED | 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([length, Buffer.alloc(4), payload]);
}
