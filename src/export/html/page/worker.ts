// Answers the page's questions about the runs: it unpacks those of each process, and sums them.
import { aggregate, idleOfAll, series, ThreadRuns, unpackRuns, type SeriesRequest, type Tables } from './aggregate';
import { decodeRuns, unpack } from './decode';
import type { Aggregate, Runs, Selection } from './model';

/** What the page may ask, and what the answer is. */
export interface Questions {
  /** Tables first, once. */
  open: { ask: Tables; answer: null };
  /** The packed runs of the threads of a process. */
  add: { ask: { text: string; threads: number[] }; answer: null };
  aggregate: { ask: Selection; answer: Aggregate };
  series: { ask: SeriesRequest; answer: Float64Array };
  runs: { ask: number; answer: Runs };
}

export type Question = { [Q in keyof Questions]: { id: number; what: Q; ask: Questions[Q]['ask'] } }[keyof Questions];

export type Answer = { id: number } & ({ answer: unknown } | { error: string });

let tables: Tables;
const threads = new Map<number, ThreadRuns>();
let idle: Map<number, Uint8Array> | null = null;

async function answer(question: Question): Promise<unknown> {
  switch (question.what) {
    case 'open':
      tables = question.ask;
      return null;
    case 'add': {
      const { text, threads: ids } = question.ask;
      const runs = decodeRuns(await unpack(text), ids.length);
      ids.forEach((id, place) => threads.set(id, new ThreadRuns(runs[place])));
      idle = null;
      return null;
    }
    case 'aggregate':
      return aggregate(tables, threads, question.ask);
    case 'series':
      return series(tables, threads, idleRows(), question.ask);
    case 'runs':
      return unpackRuns(threads.get(question.ask)!.runs, idleRows().get(question.ask)!);
  }
}

function idleRows(): Map<number, Uint8Array> {
  return (idle ??= idleOfAll(tables, threads));
}

/** The memory of an answer, which is handed over and not copied. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(answer)) return answer.byteLength > 0 ? [answer.buffer as ArrayBuffer] : [];
  if (typeof answer !== 'object' || answer === null) return [];
  return Object.values(answer).flatMap(buffersOf);
}

// One after another: a process that is being unpacked is there for the next question.
let last: Promise<void> = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Question>) => {
  last = last.then(async () => {
    try {
      const told = await answer(data);
      self.postMessage({ id: data.id, answer: told }, { transfer: buffersOf(told) });
    } catch (error) {
      self.postMessage({ id: data.id, error: String((error as Error).message ?? error) });
    }
  });
};
