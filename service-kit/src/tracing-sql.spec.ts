import { describe, expect, test } from '@jest/globals';
import { summaryOf } from './tracing-sql.ts';

describe('the summary of a statement', () => {
  test.each([
    ['begin', 'begin'],
    ['select 1', 'select'],
    ['select pass_day_gate($1)::text as day', 'select pass_day_gate'],
    ['select count(*) from tasks', 'select from tasks'],
    ['select * from tasks where id = $1 for update of tasks', 'select from tasks'],
    ['select "t0".* from "users" as "t0" where "t0"."id" = $1', 'select from users'],
    ['\n  select id from tasks where id = any($1) for no key update', 'select from tasks'],
    ['insert into outbox (id) values ($1) on conflict (id) do update set id = $1', 'insert into outbox'],
    ['with old as (select * from tasks) update accounts set balance = $1 from old', 'update accounts'],
    ['DELETE FROM "sessions" WHERE id = $1', 'delete from sessions'],
    ['', 'statement'],
  ])('of %p is %p', (statement, summary) => {
    expect(summaryOf(statement)).toBe(summary);
  });
});
