// The sums of selections are those of `rsamp report`, to the nanosecond.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { aggregate, byClass, classesOf, linesOf, type Classes } from '../aggregate';
import { NONE, type Aggregate, type Columns, type Mode, type Model } from '../model';
import { folder, load } from './pages';

interface Case {
  html: string;
  json: string;
  selection: {
    from: number; to: number; threads: number[] | null; processes: number[] | null; mode: Mode; idle: boolean;
    states: number[] | null; tasks: number[] | null;
  };
}

/** The names of sums in rsamp's JSON. */
const SUMS: [string, keyof Columns][] = [
  ['samples', 'samples'], ['wall_ns', 'wall'], ['cpu_ns', 'cpu'], ['gil_ns', 'gil'], ['helpers_cpu_ns', 'helpers'],
  ['blocked_others_ns', 'blockedOthers'], ['grown_bytes', 'grown'], ['shrunk_bytes', 'shrunk'],
  ['grown_unsure_bytes', 'unsure'],
];

type Row = Record<string, unknown>;

/** What a row of a table is about, and its sums; those of nothing are left out. */
function table(rows: Iterable<[string, Row]>): Map<string, Row> {
  const isNothing = (sums: unknown): boolean => {
    return typeof sums === 'object' && sums !== null ? Object.values(sums).every(isNothing) : sums === 0;
  };
  return new Map(Array.from(rows).filter(([, row]) => !isNothing(row)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A report lists what was sampled: not what has memory alone. */
function sampled(rows: Map<string, Row>): Map<string, Row> {
  const isSampled = ({ total }: { total?: Record<string, number> }) => total!.samples > 0 || total!.wall_ns > 0;
  return new Map(Array.from(rows).filter(([, row]) => isSampled(row)));
}

function sumsAt(columns: Columns, row: number): Row {
  return Object.fromEntries(SUMS.map(([json, name]) => [json, columns[name][row]]));
}

const known = (number: number) => (number === NONE ? null : number);

function place(model: Model, id: number, line?: number): string {
  const { name, file, firstLine } = model.functions;
  const of = [model.strings[name[id]], file[id] === NONE ? null : model.strings[file[id]], known(firstLine[id])];
  return JSON.stringify(line === undefined ? of : [...of, known(line)]);
}

/** Of each class its self and total sums, and its states. */
function rows(model: Model, held: Aggregate, classes: Classes, name: (row: number) => string): Map<string, Row> {
  const sums = SUMS.map(([json, column]) => [json, byClass(model.stacks, classes, held.self[column])] as const);
  const states = held.states.map((times) => (times.length ? byClass(model.stacks, classes, times) : null));
  const statesOf = (which: 'self' | 'total', row: number) => {
    const times = model.states.map(({ word }, state) => [word, states[state]?.[which][row] ?? 0]);
    return Object.fromEntries(times.filter(([, time]) => time !== 0));
  };
  return sampled(table(Array.from({ length: classes.count }, (_, row): [string, Row] => [name(row), {
    self: Object.fromEntries(sums.map(([json, of]) => [json, of.self[row]])),
    total: Object.fromEntries(sums.map(([json, of]) => [json, of.total[row]])),
    self_states: statesOf('self', row),
    total_states: statesOf('total', row),
  }])));
}

function reported(rows: Row[], key: string[]): Map<string, Row> {
  return sampled(table(rows.map(({ self, total, self_states, total_states, ...row }): [string, Row] => {
    return [JSON.stringify(key.map((name) => row[name])), { self, total, self_states, total_states }];
  })));
}

const cases: Case[] = JSON.parse(await readFile(join(folder, 'cases.json'), 'utf8'));
const pages = new Map<string, Awaited<ReturnType<typeof load>>>();
for (const { html } of cases) if (!pages.has(html)) pages.set(html, await load(html));

test(`${cases.length} selections`, async () => {
  for (const { html, json, selection } of cases) {
    const { model, tables, threads } = pages.get(html)!;
    const report = JSON.parse(await readFile(join(folder, json), 'utf8'));
    const set = (numbers: number[] | null) => numbers && new Set(numbers);
    const held = aggregate(tables, threads, {
      ...selection,
      threads: set(selection.threads), processes: set(selection.processes), states: set(selection.states),
      tasks: set(selection.tasks),
    });
    const of = `${json}: ${JSON.stringify(selection)}`;
    const { functions, stacks } = model;
    const byFunction = classesOf(stacks, stacks.function, functions.name.length);
    const lines = linesOf(stacks);
    assert.equal(held.idle_ns, report.idle_waits.wall_ns, of);
    assert.equal(held.totals.sum, report.totals[`${selection.mode}_ns`], of);
    assert.equal(held.totals.samples, report.totals.samples, of);
    assert.deepEqual(
      rows(model, held, byFunction, (row) => place(model, row)),
      reported(report.functions, ['name', 'file', 'first_line']), of,
    );
    assert.deepEqual(
      rows(model, held, lines.classes, (row) => place(model, lines.function[row], lines.line[row])),
      reported(report.lines, ['name', 'file', 'first_line', 'line']), of,
    );
    assert.deepEqual(
      table(model.threads.map(({ tid }, row): [string, Row] => [`${tid}`, sumsAt(held.threads, row)])),
      table(report.threads.map(({ tid, totals }: Row): [string, Row] => [`${tid}`, totals as Row])), of,
    );
  }
});
