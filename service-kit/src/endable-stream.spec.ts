import { expect, test } from '@jest/globals';
import { createPushQueue } from './push-queue.ts';
import { endableStream } from './endable-stream.ts';

const REASON = new Error('no more');

function streamOf() {
  const state = { left: 0, watched: true, end: (_reason: Error): void => {} };
  const source = createPushQueue<number>(10, () => new Error('too far behind'), () => void (state.left += 1));
  const stream = endableStream(source, (end) => {
    state.end = end;
    return () => void (state.watched = false);
  });
  return { state, source, stream };
}

test('values come as the source gives them, and its end is the end', async () => {
  const { state, source, stream } = streamOf();
  source.push(1);
  expect(await stream.next()).toEqual({ done: false, value: 1 });
  const waiting = stream.next();
  source.push(2);
  expect(await waiting).toEqual({ done: false, value: 2 });
  await source.return?.();
  expect((await stream.next()).done).toBe(true);
  expect(state.watched).toBe(false);
});

test('a reader that waits gets the reason at once, then the end; the source is left', async () => {
  const { state, stream } = streamOf();
  const waiting = stream.next();
  state.end(REASON);
  await expect(waiting).rejects.toBe(REASON);
  expect((await stream.next()).done).toBe(true);
  expect(state).toMatchObject({ left: 1, watched: false });
});

test('a reader that is busy gets the reason when it comes, and no value after it', async () => {
  const { state, source, stream } = streamOf();
  source.push(1);
  state.end(REASON);
  await expect(stream.next()).rejects.toBe(REASON);
  expect((await stream.next()).done).toBe(true);
  expect(state.left).toBe(1);
});

test('a reader that leaves is watched no more, and leaves the source', async () => {
  const { state, stream } = streamOf();
  const waiting = stream.next();
  expect((await stream.return?.())?.done).toBe(true);
  expect((await waiting).done).toBe(true);
  expect(state).toMatchObject({ left: 1, watched: false });
});

test('a failure of the source is passed on, and ends the watching', async () => {
  const { state, source, stream } = streamOf();
  for (let number = 0; number < 11; number++) source.push(number);
  await expect(stream.next()).rejects.toThrow('too far behind');
  expect(state.watched).toBe(false);
});
