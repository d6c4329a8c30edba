// Opens the recording in the page, and asks the worker about its runs.
import { DamagedPage, decodeModel } from './decode';
import type { SeriesRequest } from './aggregate';
import type { Aggregate, Model, Runs, Selection } from './model';
import type { Answer, Questions } from './worker';

/** The bundle of worker.ts, put here by build.mjs. */
declare const WORKER_SOURCE: string;

/** The recording. */
export interface Engine {
  model: Model;
  aggregate(selection: Selection): Promise<Aggregate>;
  /** The time of each group in each bin. */
  series(request: SeriesRequest): Promise<Float64Array>;
  /** The runs of a thread. */
  runs(thread: number): Promise<Runs>;
}

/** Reads the page's data. */
export async function open(document: Document): Promise<Engine> {
  if (!document.getElementById('end')) {
    throw new DamagedPage('the file ends early: it was copied only in part, or rsamp could not write all of it');
  }
  const text = (id: string) => document.getElementById(id)?.textContent ?? null;
  const model = await decodeModel(text('meta') ?? '', text('core') ?? '', text('src'));
  const ask = startWorker();
  const { stacks, threads, states } = model;
  await ask('open', { stacks, threads, states, duration_ns: model.meta.duration_ns });
  const added = model.processes.map((process, id) => {
    return process.threads.length ? ask('add', { text: text(`p${id}`) ?? '', threads: process.threads }) : null;
  });
  await Promise.all(added);
  return {
    model,
    aggregate: (selection) => ask('aggregate', selection),
    series: (request) => ask('series', request),
    runs: (thread) => ask('runs', thread),
  };
}

type Ask = <Q extends keyof Questions>(what: Q, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>;

function startWorker(): Ask {
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: 'text/javascript' }));
  const worker = new Worker(url);
  const open = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let next = 0;
  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    const asked = open.get(data.id);
    open.delete(data.id);
    if ('error' in data) asked?.reject(new DamagedPage(data.error));
    else asked?.resolve(data.answer as never);
  };
  worker.onerror = ({ message }) => {
    open.forEach(({ reject }) => reject(new Error(message)));
    open.clear();
  };
  return (what, ask) => {
    return new Promise((resolve, reject) => {
      open.set(next, { resolve, reject });
      worker.postMessage({ id: next++, what, ask });
    });
  };
}
