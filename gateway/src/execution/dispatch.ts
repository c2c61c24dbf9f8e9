import type { FetchFailure } from '../fetch-errors.ts';
import type { SubgraphAnswer } from '../operation-context.ts';
import { variableMembers } from './compiled-fetch.ts';
import { answerOfJoined, groupedFetches, maySend, representationsVariable, type JoinedFetches } from './joined-fetches.ts';
import { isFailure, receiveAnswer } from './received-answers.ts';
import type { PendingFetch, Run } from './run.ts';
import { isTree } from './tree.ts';

/** Sends a fetch, one of entities at the end of the turn. */
export function dispatch(run: Run, pending: PendingFetch): void {
  if (pending.batch.numbers === undefined) sendAlone(run, pending);
  else run.outbox.push(pending);
}

/** Runs a piece of an execution, then sends what it wants to fetch; what it throws is the execution's failure. */
export function takeTurn(run: Run, work: () => void): void {
  try {
    work();
    while (run.outbox.length > 0) sendAll(run, run.outbox.splice(0));
  } catch (error) {
    run.fail(error);
  }
}

function sendAll(run: Run, pending: readonly PendingFetch[]): void {
  const [first] = pending;
  if (pending.length === 1 && first !== undefined) {
    sendAlone(run, first);
    return;
  }
  for (const ofSubgraph of Map.groupBy(pending, ({ fetch }) => fetch.subgraph).values()) {
    for (const group of groupedFetches(ofSubgraph)) {
      const joined = group.length === 1 ? undefined : run.joiner(group.map(({ fetch }) => fetch));
      if (joined !== undefined && maySend(joined)) sendJoined(run, group, joined);
      else for (const one of group) sendAlone(run, one);
    }
  }
}

function sendAlone(run: Run, { fetch, batch, finished }: PendingFetch): void {
  const { numbers, representations, contextMembers } = batch;
  let members = variableMembers(fetch, run.execution.variables);
  members = joinedMembers(members, contextMembers);
  if (numbers !== undefined) members = joinedMembers(members, `"representations":[${representations.join(',')}]`);
  send(run, { subgraph: fetch.subgraph, kind: fetch.kind, body: `${fetch.bodyStart}{${members}}}` }, (answer) => {
    receiveAnswer(run, fetch, batch, answer);
    finished();
  });
}

function sendJoined(run: Run, group: readonly PendingFetch[], joined: JoinedFetches): void {
  let members = variableMembers(joined, run.execution.variables);
  for (const [index, { batch }] of group.entries()) members = joinedMembers(members, `"${representationsVariable(index)}":[${batch.representations.join(',')}]`);
  const { subgraph, kind } = (group[0] as PendingFetch).fetch;
  send(run, { subgraph, kind, body: `${joined.bodyStart}{${members}}}` }, (answer) => {
    if (!isFailure(answer) && !isTree(answer.data)) {
      joined.refusals++;
      if (run.execution.signal?.aborted === true) for (const { finished } of group) finished();
      else for (const one of group) sendAlone(run, one);
      return;
    }
    for (const [index, { fetch, batch }] of group.entries()) receiveAnswer(run, fetch, batch, isFailure(answer) ? answer : answerOfJoined(answer, index));
    for (const { finished } of group) finished();
  });
}

function joinedMembers(members: string, more: string): string {
  return members === '' || more === '' ? members + more : `${members},${more}`;
}

interface Sent {
  readonly subgraph: string;
  readonly kind: 'query' | 'mutation';
  readonly body: string;
}

function send(run: Run, { subgraph, kind, body }: Sent, receive: (answer: SubgraphAnswer | FetchFailure) => void): void {
  run.execution.fetch({ subgraph, kind, body }).then((answer) => takeTurn(run, () => receive(answer)), run.fail);
}
