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
  const model = await decodeModel(text('meta') ?? '', text('core') ?? '', text('src'));
  const ask = await startAsking(model);
  const added = model.processes.map((process, id) => {
    return process.threads.length ? ask('add', { text: text(`p${id}`) ?? '', threads: process.threads }) : null;
  });
  await Promise.all(added);
  return {
    model,
    aggregate: (selection) => ask('aggregate', selection),
    series: (request) => ask('series', request),
  };
}

type Ask = <Q extends keyof Questions>(what: Q, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>;

/** A worker that has not answered by then never will: in milliseconds. */
const WORKER_STARTS_WITHIN = 5000;

/** A worker answers, or the page itself where what is around it (a notebook, a policy) forbids workers. */
async function startAsking({ stacks, threads, states, tasks, taskOf, meta }: Model): Promise<Ask> {
  const tables = { stacks, threads, states, tasks, taskOf, duration_ns: meta.duration_ns };
  const opened = async (ask: Ask) => {
    await ask('open', tables);
    return ask;
  };
  try {
    return await opened(askWorker());
  } catch {
    return opened(askHere());
  }
}

function askHere(): Ask {
  const answers = new Answers();
  return (what, ask) => answers.answer({ what, ask } as Question) as Promise<never>;
}

function askWorker(): Ask {
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: 'text/javascript' }));
  const worker = new Worker(url);
  const open = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let next = 0;
  const end = (why: string) => {
    worker.terminate();
    open.forEach(({ reject }) => reject(new Error(why)));
    open.clear();
  };
  const silent = setTimeout(() => end('the worker does not answer'), WORKER_STARTS_WITHIN);
  worker.onmessage = ({ data }: MessageEvent<Told>) => {
    clearTimeout(silent);
    const asked = open.get(data.id);
    open.delete(data.id);
    if ('error' in data) asked?.reject(new DamagedPage(data.error));
    else asked?.resolve(data.answer as never);
  };
  worker.onerror = ({ message }) => end(message || 'the worker ended');
  return (what, ask) => {
    return new Promise((resolve, reject) => {
      open.set(next, { resolve, reject });
      worker.postMessage({ id: next++, what, ask });
    });
  };
}
