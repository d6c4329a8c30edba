// Opens the recording in the page, and asks the worker about its runs.
import { DamagedPage, decodeModel } from './decode';
import type { SeriesRequest } from './aggregate';
import { Answers, type Question, type Questions } from './answers';
import type { Aggregate, Model, Selection } from './model';
import type { Told } from './worker';

/** The bundle of worker.ts, put here by build.mjs. */
declare const WORKER_SOURCE: string;

/** The recording. */
export interface Engine {
  model: Model;
  /** When all runs are there, or why not; questions wait for it. */
  ready: Promise<void>;
  aggregate(selection: Selection): Promise<Aggregate>;
  /** The time of each group in each bin. */
  series(request: SeriesRequest): Promise<Float64Array>;
}

/** Reads the page's data. */
export async function open(document: Document): Promise<Engine> {
  if (!document.getElementById('end')) {
    throw new DamagedPage('the file ends early: it was copied only in part, or rsamp could not write all of it');
  }
  const text = (id: string) => document.getElementById(id)?.textContent ?? null;
  // A worker takes as long to start as the model to be read.
  const worker = startWorker();
  const model = await decodeModel(text('meta') ?? '', text('core') ?? '', text('src'));
  const ask = await startAsking(model, worker);
  const added = model.processes.map((process, id) => {
    return process.threads.length ? ask('add', { text: text(`p${id}`) ?? '', threads: process.threads }) : null;
  });
  return {
    model,
    ready: Promise.all(added).then(() => undefined),
    aggregate: (selection) => ask('aggregate', selection),
    series: (request) => ask('series', request),
  };
}

type Ask = <Q extends keyof Questions>(what: Q, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>;

/** A worker that has not answered by then never will: in milliseconds. */
const WORKER_ANSWERS_WITHIN = 5000;

/** A worker answers, or the page itself where what is around it (a notebook, a policy) forbids workers. */
async function startAsking({ stacks, threads, states, tasks, taskOf, classes, classOf, meta }: Model, worker: Ask | null): Promise<Ask> {
  const tables = { stacks, threads, states, tasks, taskOf, classes, classOf, duration_ns: meta.duration_ns };
  const opened = async (ask: Ask) => {
    await ask('open', tables);
    return ask;
  };
  try {
    if (worker) return await opened(worker);
  } catch {
    // It is forbidden.
  }
  return opened(askHere());
}

function askHere(): Ask {
  const answers = new Answers();
  return (what, ask) => answers.answer({ what, ask } as Question) as Promise<never>;
}

/** `null`: there are no workers. Where they are forbidden, that may be told later. */
function startWorker(): Ask | null {
  try {
    return askWorker(new Worker(URL.createObjectURL(new Blob([WORKER_SOURCE], { type: 'text/javascript' }))));
  } catch {
    return null;
  }
}

function askWorker(worker: Worker): Ask {
  const open = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let next = 0, ended: string | null = null, silent = 0;
  const end = (why: string) => {
    ended = why;
    worker.terminate();
    open.forEach(({ reject }) => reject(new Error(why)));
    open.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Told>) => {
    clearTimeout(silent);
    const asked = open.get(data.id);
    open.delete(data.id);
    if ('error' in data) asked?.reject(new DamagedPage(data.error));
    else asked?.resolve(data.answer as never);
  };
  worker.onerror = ({ message }) => end(message || 'the worker ended');
  return (what, ask) => {
    if (ended !== null) return Promise.reject(new Error(ended));
    if (next === 0) silent = setTimeout(() => end('the worker does not answer'), WORKER_ANSWERS_WITHIN) as unknown as number;
    return new Promise((resolve, reject) => {
      open.set(next, { resolve, reject });
      worker.postMessage({ id: next++, what, ask });
    });
  };
}
